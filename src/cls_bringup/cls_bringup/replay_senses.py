"""Parameters of a player for a brain that perceives the robot without an encoder. No PyTorch here."""

from pathlib import Path

from cls_common.resources import config_dir
from cls_learning.brain import inputs_of
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.node_settings import choose_brain
from cls_learning.runtime.config_resolution import resolve
from cls_recording.discovery import find_sessions
from cls_recording.playback.settings import PlayerSettings
from cls_recording.playback.sources import Source

from .graph import Process
from .preflight import parameters_in_force


def senses(slow_learner: Process, session: str) -> str:
    """Returns the names of the brain's inputs, comma-separated: of the existing model, or for the recorded robot.

    Args:
        slow_learner: its parameters name model and brain, and the settings of a new model.
        session: comma-separated folders of sessions; the first one has the robot.

    Raises:
        UserError: the session has no robot, or its robot lacks what the brain perceives.
    """
    asked = parameters_in_force(slow_learner)
    config = Path(asked['models_dir'], asked['model'], 'config.json')
    if config.exists():
        inputs = ModelConfig.from_json(config.read_text(encoding='utf-8'), str(config)).inputs
    else:
        brain = choose_brain(asked)
        names = dict(brain.settings.leaves())
        chosen = {name: value for name, value in asked.items() if name in names}
        settings, _, _ = resolve(config_dir() / 'presets', str(asked.get('preset', '')), chosen, brain)
        robot = Source.describe(find_sessions(PlayerSettings(session=session).paths)[0]).robot
        inputs = inputs_of(brain, settings, robot)
    return ','.join(each.name for each in inputs)
