"""Gives images that are some steps late back to the actions whose outcome they show. Pure."""

from collections import deque
from dataclasses import replace

from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Transition

from .image_delay import LONGEST


def can_pair(robot: RobotInfo) -> bool:
    """Whether late images can be re-paired: there are joints, and an action of 0 is rest."""
    moves = {Kind.RELATIVE, Kind.VELOCITY}
    return bool(robot.joint_names) and all(channel.kind in moves for channel in robot.channels)


class LateImages:
    """Remembers the last motions of an unbroken chain. Feed it every transition of a robot, in order.

    Raw, a transition has the images that arrived before and after an action. Where these are N steps late they show
    the motion of N transitions before.
    """

    def __init__(self, robot: RobotInfo) -> None:
        self._rest = robot.zero()
        self._chain: deque[Transition] = deque(maxlen=LONGEST + 1)

    def pair(self, transition: Transition, steps: int, *, is_new: bool = False) -> Transition:
        """Returns the transition with actions and joints of the one whose motion its images show.

        The first transitions of a chain show a robot at rest. A chain that was begun before this object was made gets a
        boundary here, since its motions are not known.

        Args:
            steps: by which images are late, 0 to 3; a transition that was re-paired before needs that much less.
            is_new: `steps` has just changed: a boundary, so that no window has transitions of both kinds.
        """
        if transition.boundary:
            self._chain.clear()
        is_cut = is_new or (steps > 0 and not self._chain)
        self._chain.append(transition)
        missing = steps - transition.image_delay
        if is_cut and not transition.boundary:
            transition = replace(transition, boundary=True)
        if missing <= 0:
            return transition
        if missing < len(self._chain):
            shown = self._chain[-1 - missing]
            motion = (shown.action_commanded, shown.action_applied, shown.joints, shown.joints_next)
        else:
            joints = self._chain[0].joints
            motion = (self._rest, self._rest, joints, joints)
        commanded, applied, before, after = motion
        return replace(
            transition, action_commanded=commanded, action_applied=applied, joints=before, joints_next=after,
            image_delay=steps,
        )  # fmt: skip
