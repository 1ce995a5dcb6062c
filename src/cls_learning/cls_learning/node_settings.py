"""Parameters of the learner nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from cls_common.comms import MODES
from cls_common.errors import UserError
from cls_common.settings import setting, Settings

from .brain import Brain, find
from .model_store.listing import read_config

DEFAULT_BRAIN = 'cls'


@dataclass(frozen=True, kw_only=True)
class FastNodeSettings(Settings):
    mode: str = setting('manual', 'Source of actions at the start.', choices=MODES)
    action_rate: float = setting(
        2.0, 'Most actions a second; 0: the next follows each answer at once.', unit='Hz', low=0.0
    )
    step_timeout: float = setting(5.0, 'Time without an answer to an action that is a fault.', unit='s', low=0.1)
    max_still: float = setting(
        1.0, 'Age up to which the last image of a resting robot counts as its present view.', unit='s', low=0.0
    )
    max_steps: int = setting(0, 'Wake steps of this run after which acting ends; 0: no end.', low=0)
    max_behind: int = setting(
        200, 'Acting waits while slow_learner is further behind than this; 0: no wait.', unit='steps', low=0, high=1000
    )
    threads: int = setting(1, 'Threads of one forward pass; the networks are small.', low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class SlowNodeSettings(Settings):
    """Parameters of slow_learner. Those of its brain come beside them and define a new model."""

    brain: str = setting('', 'Brain of a new model, by name; empty: cls. An existing model has its own.')
    model: str = setting('default', 'Name of the model folder; a missing one is created.')
    models_dir: str = setting('models', 'Folder that holds the models.')
    accept_robot: bool = setting(
        False, 'An existing model may continue with a robot of another name than it was made with.'
    )
    preset: str = setting(
        '', 'Settings in config/presets/ for a new model, of its brain; parameters set by name override it.'
    )
    seed: int = setting(-1, 'Seed of networks and exploration of a new model; -1: random.', low=-1, high=2**31)
    threads: int = setting(
        0, 'Threads of one optimiser step; 0: half of the cores, the robot needs the others.', low=0, high=64
    )
    device: str = setting('', 'torch device of Slow, such as cpu or cuda:0; empty: cuda, else mps, else cpu.')
    nice: int = setting(
        10, 'Niceness of learning awake; sleep and saving, in which the robot rests, have 0.', low=0, high=19
    )
    lease: float = setting(
        3.0, 'Silence of this node in sleep after which fast_learner wakes by itself.', unit='s', low=0.5
    )


def with_recipe(brain: Brain) -> type[Any]:
    """Returns the settings class of slow_learner's parameters and those of a brain."""
    return make_dataclass('SlowParameters', [], bases=(SlowNodeSettings, brain.settings), frozen=True, kw_only=True)


def choose_brain(asked: Mapping[str, Any]) -> Brain:
    """Returns the brain of the model that parameters name: that of an existing model, else the one that they name.

    Raises:
        UserError: there is no such brain, or the model has another one.
    """
    models_dir, model = str(asked.get('models_dir', 'models')), str(asked.get('model', 'default'))
    name = str(asked.get('brain', ''))
    folder = Path(models_dir) / model
    own = str(read_config(folder).get('brain', DEFAULT_BRAIN)) if (folder / 'config.json').exists() else ''
    if name and own and name != own:
        raise UserError(
            f'brain of the existing model {model!r}',
            expected=own,
            found=name,
            do='Leave it out, or choose another model name.',
        )
    return find(name or own or DEFAULT_BRAIN)
