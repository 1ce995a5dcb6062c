"""The policy `recorded`: repeats the actions of a recorded session."""

from pathlib import Path

import numpy as np

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import difference, RobotInfo
from cls_common.transition import Doubles, Floats
from cls_learning.config import LearningSettings
from cls_learning.learners.fast import FastLearner
from cls_learning.policies.contract import EndOfActionsError, Selector
from cls_recording.filters import ActionFilter
from cls_recording.reader import SessionReader


class RecordedPolicy(Selector):
    """Takes recorded action s at step s; raises EndOfActionsError after the last one.

    Args:
        actions: float32 (N, A), in robot units.
        name: name of the session, for error texts.
    """

    def __init__(self, actions: Floats, robot: RobotInfo, name: str) -> None:
        self._units = np.clip(robot.to_unit(actions), -1.0, 1.0)
        self._name = name

    def __len__(self) -> int:
        return len(self._units)

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        if step >= len(self._units):
            raise EndOfActionsError(f'all {len(self._units)} recorded actions of {self._name} are done')
        action: Floats = self._units[step].copy()
        return action


def read_actions(session: Path, robot: RobotInfo, filter_action: str = '') -> Floats:
    """Returns the actions of a session as they were commanded, float32 (N, A), robot units.

    These are the actions that the robot applied, each once; without recorded answers, the actions that were sent.

    Args:
        filter_action: `KEY=VALUE`, returns only actions of this value; empty: all.

    Raises:
        UserError: no session, a session of another robot, or no action in it that the filter accepts.
    """
    accepts = ActionFilter.parse(filter_action) if filter_action else None
    if accepts:
        accepts.check(robot)
    with SessionReader(session) as reader:
        _check_robot(reader, robot)
        answered = comms.APPLIED_ACTION.name in reader.topics
        topic = comms.APPLIED_ACTION.name if answered else comms.ROBOT_ACTION.name
        actions: dict[tuple[str, int], Floats] = {}
        for event in reader.events((topic,)):
            message = event.message
            values = np.array(message.commanded if answered else message.values, np.float32)
            was_taken = values.shape == (len(robot.channels),) and np.isfinite(values).all()
            if was_taken and not (answered and message.error_code) and (not accepts or accepts.matches(robot, values)):
                # The driver answers twice if it receives an action twice.
                actions.setdefault((message.source, message.sequence), values)
    if not actions:
        raise UserError(
            f'session {session}', expected=f'actions{" with " + filter_action if filter_action else ""}', found='none'
        )
    return np.stack(list(actions.values()))


def _check_robot(reader: SessionReader, robot: RobotInfo) -> None:
    recorded = reader.info.robot
    other = difference(robot, recorded, ('actions',)) if recorded is not None else None
    if recorded is not None and other is not None:
        raise UserError(
            f'session {reader.path} for robot {robot.name!r}',
            expected=f'the same action channels: {other.expected}',
            found=f'those of {recorded.name!r}: {other.found}',
        )


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> RecordedPolicy:
    """Makes the policy from the actions of `policy.session` that `policy.filter_action` accepts."""
    own = settings.policy
    if not own.session:
        raise UserError("policy 'recorded'", expected='the folder of a session', found='none')
    session = Path(own.session)
    return RecordedPolicy(read_actions(session, robot, own.filter_action), robot, session.name)
