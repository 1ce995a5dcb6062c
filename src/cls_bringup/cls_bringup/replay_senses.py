"""Parameters of a player for a brain that perceives the robot without an encoder. No PyTorch here."""

from collections.abc import Iterable

from cls_common.transition import JOINTS
from cls_learning.brain import Input, inputs_of
from cls_recording.discovery import find_sessions
from cls_recording.playback.settings import PlayerSettings
from cls_recording.playback.sources import Source

from .chosen_brain import existing_model, settings_of_brain
from .graph import Process


def senses(slow_learner: Process, session: str) -> str:
    """Returns the names of the brain's inputs, comma-separated: of the existing model, or for the recorded robot.

    Joints are left out: every session has them in the robot's answers.

    Args:
        slow_learner: its parameters name model and brain, and the settings of a new model.
        session: comma-separated folders of sessions; the first one has the robot.

    Raises:
        UserError: the session has no robot, or its robot lacks what the brain perceives.
    """
    model = existing_model(slow_learner)
    if model:
        return _names(model.inputs)
    brain, settings = settings_of_brain(slow_learner)
    robot = Source.describe(find_sessions(PlayerSettings(session=session).paths)[0]).robot
    return _names(inputs_of(brain, settings, robot))


def _names(inputs: Iterable[Input]) -> str:
    return ','.join(each.name for each in inputs if each.name != JOINTS)
