"""Pairs delayed images with the actions whose outcome they show. No ROS."""

from collections import deque
from dataclasses import replace

from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Transition

from .image_delay import LONGEST


def can_pair(robot: RobotInfo) -> bool:
    """Whether delayed images can be paired: the robot has joints, and an action of 0 is rest."""
    moves = {Kind.RELATIVE, Kind.VELOCITY}
    return bool(robot.joint_names) and all(channel.kind in moves for channel in robot.channels)


class LateImages:
    """Keeps the last motions of consecutive transitions; `pair` must be called with every transition, in order.

    An unpaired transition has the images that arrived before and after an action. With a delay of N steps they show the
    motion of the transition N steps before.
    """

    def __init__(self, robot: RobotInfo) -> None:
        self._rest = robot.zero()
        self._chain: deque[Transition] = deque(maxlen=LONGEST + 1)

    def pair(self, transition: Transition, steps: int, *, is_new: bool = False) -> Transition:
        """Returns the transition with the actions and joints of the motion that its images show.

        After a boundary the first transitions show a robot at rest. The first call inserts a boundary in a sequence
        that began before, since its motions are unknown.

        Args:
            steps: delay of images, 0 to 3; a transition that was paired before needs that much less.
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
            transition,
            action_commanded=commanded,
            action_applied=applied,
            joints=before,
            joints_next=after,
            image_delay=steps,
        )
