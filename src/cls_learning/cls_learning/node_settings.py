"""Parameters of the learner nodes."""

from dataclasses import dataclass

from cls_common.comms import MODES
from cls_common.settings import setting, Settings

from .config import LearningSettings


@dataclass(frozen=True, kw_only=True)
class FastNodeSettings(Settings):
    mode: str = setting('manual', 'Who decides on actions from the start.', choices=MODES)
    action_rate: float = setting(2.0, 'Actions a second at most; 0: as fast as they are answered.', unit='Hz', low=0.0)
    step_timeout: float = setting(5.0, 'An action without an answer for this long is a fault.', unit='s', low=0.1)
    max_still: float = setting(1.0, 'For this long a resting robot is taken to see what it saw.', unit='s', low=0.0)
    max_steps: int = setting(0, 'Wake steps of this run after which acting ends; 0: never.', low=0)
    max_behind: int = setting(
        200, 'Acting waits while slow_learner is further behind than this; 0: never.', unit='steps', low=0, high=1000
    )
    threads: int = setting(1, 'Threads of one forward pass; the networks are small.', low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class SlowNodeSettings(LearningSettings):
    """The recipe of a new model, and where models are."""

    model: str = setting('default', 'Name of the model folder; created where it is missing.')
    models_dir: str = setting('models', 'Folder that holds the models.')
    accept_robot: bool = setting(
        False, 'An existing model goes on with the robot that is there, though it was made with one of another name.'
    )
    preset: str = setting('', 'Recipe in config/presets/ for a new model; what is set by name wins over it.')
    seed: int = setting(-1, 'Of networks and exploration of a new model; -1: drawn.', low=-1, high=2**31)
    threads: int = setting(
        0, 'Threads of one optimiser step; 0: half of the cores, the body needs the rest.', low=0, high=64
    )
    device: str = setting('', 'torch device of Slow, such as cpu or cuda:0; empty: cuda, else mps, else cpu.')
    save_frames: bool = setting(False, 'Keep a picture before and after each action (row 000-083).')
    nice: int = setting(
        10, 'Niceness of learning awake; sleep and saving, in which the robot rests, are not niced.', low=0, high=19
    )
    lease: float = setting(
        3.0, 'Fast wakes by itself when this node is silent for so long in sleep.', unit='s', low=0.5
    )
