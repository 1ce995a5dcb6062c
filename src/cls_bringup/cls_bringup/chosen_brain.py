"""The brain of a graph and its settings, before any process starts. No PyTorch here."""

from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.brain import Brain
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.node_settings import choose_brain
from cls_learning.presets import read_preset

from .graph import Process
from .preflight import parameters_in_force


def existing_model(slow_learner: Process) -> ModelConfig | None:
    """Returns the configuration of the model that slow_learner will open; None where it will create one.

    Raises:
        UserError: its config.json can't be read.
    """
    asked = parameters_in_force(slow_learner)
    name = str(asked.get('model', 'default'))
    config = Path(asked.get('models_dir', 'models'), name, 'config.json')
    try:
        return ModelConfig.from_json(config.read_text(encoding='utf-8'), str(config))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'model {name!r}', expected='a readable config.json', found=str(error)) from error


def settings_of_brain(slow_learner: Process) -> tuple[Brain, Any]:
    """Returns the brain that slow_learner will run and its settings: those of an existing model, else of a new one.

    Args:
        slow_learner: its parameters name model and brain, and the settings of a new model.

    Raises:
        UserError: there is no such brain or preset, or a setting has a wrong value.
    """
    asked = parameters_in_force(slow_learner)
    model = existing_model(slow_learner)
    brain = choose_brain(asked)
    if model:
        return brain, model.settings
    names = dict(brain.settings.leaves())
    chosen = {name: value for name, value in asked.items() if name in names}
    preset = read_preset(config_dir() / 'presets', str(asked.get('preset', '')), brain.name)
    return brain, brain.settings.from_flat({**preset, **chosen})
