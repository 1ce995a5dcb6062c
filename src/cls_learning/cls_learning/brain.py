"""The contract of a brain: an online learner that acts and learns awake, and a consolidator that learns from memory.

The nodes `fast_learner` and `slow_learner`, training, replay, the model folder and its journal know a brain by this
file alone. A brain is a folder `brains/NAME/`, or an entry point of the group `cls_learning.brains`, that defines
`BRAIN`. Online learner and consolidator are deterministic: the same state and the same transitions give the same
weights, since a journal is learned again after a crash.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import math
from typing import Any, Literal, Protocol, TYPE_CHECKING

from cls_common.comms import ACTING_MODES
from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.settings import Settings
from cls_common.transition import Doubles, EMBEDDING, Experience, Floats, JOINTS, Observation, Transition

from .registries import BRAINS

if TYPE_CHECKING:  # brains are listed and models are read without PyTorch
    from torch import nn, Tensor

    from cls_common.images import Image

State = dict[str, 'Tensor']
# Parts of a model, each a file of a generation; a consolidator may have more.
ONLINE, CONSOLIDATOR = 'online', 'consolidator'


@dataclass(frozen=True)
class Input:
    """One input of a brain.

    Attributes:
        name: of the reading: `embedding`, `camera` for an image, the modality of a vector, or the vector `joints`.
        kind: an embedding of the model's encoder, the images of the camera, or a vector.
        size: (height, width) to which images are brought, pixels; () otherwise.
    """

    name: str = EMBEDDING
    kind: Literal['embedding', 'image', 'vector'] = 'embedding'
    size: tuple[int, ...] = ()


@dataclass(frozen=True)
class Goal:
    """Requested optimiser steps of a sleep by phase. Missing or 0: as configured. -1: the phase is skipped."""

    steps: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Progress after one optimiser step: its phase, done and planned steps of the phase, loss."""

    phase: str
    step: int
    steps: int
    loss: float


@dataclass
class SleepStatistics:
    """Statistics of a sleep.

    Attributes:
        status: by phase, 'ok' or 'skipped: reason'.
        steps: optimiser steps done, by phase.
        means: over the steps of a phase, by name; NaN where skipped.
        refused: optimiser steps refused because loss or gradient was not finite.
    """

    status: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    refused: int = 0

    def text(self) -> str:
        """Returns the status of all phases in one line."""
        return ', '.join(f'{name} {status}' for name, status in self.status.items())


@dataclass(frozen=True)
class Verdict:
    """Effect of a sleep on the scores on held-out transitions.

    Attributes:
        judged: there were enough held-out transitions. rolled_back: the sleep did harm and is not kept.
        text: the result in words. summary: the scores before and after, in a few words.
        metrics: scores by name.
    """

    judged: bool = False
    rolled_back: bool = False
    text: str = 'not judged: this brain gives no score'
    summary: str = ''
    metrics: Mapping[str, float] = field(default_factory=dict)


class Model(Protocol):
    """Definition of a model, as in its config.json.

    Attributes:
        robot, settings, seed: as they were when it was created.
        shapes: of each reading, by the name of its input: (D,) or (H, W, 3).
        z_size: length of an embedding, D; 0 where the brain perceives none.
    """

    @property
    def robot(self) -> RobotInfo: ...

    @property
    def settings(self) -> Any: ...

    @property
    def seed(self) -> int: ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]: ...

    @property
    def z_size(self) -> int: ...


class OnlineLearner(ABC):
    """Acts and learns from every step; a deterministic function of its state and the transitions.

    Attributes:
        total_steps: wake steps of the model, the sequence of the last experience.
        wake_steps_in_cycle: since the last sleep. cycles: sleeps kept.
        episode: number of the episode, incremented at every boundary.
        wake_steps_per_cycle: steps after which it wants sleep; 0: only on request.
        acts_before_learning: the next action is sent before the last step is learned.
    """

    wake_steps_per_cycle: int = 0
    acts_before_learning: bool = True

    def __init__(self) -> None:
        self.total_steps = self.wake_steps_in_cycle = self.cycles = self.episode = 0

    @property
    def wants_sleep(self) -> bool:
        """Whether sleep is due: after the wake steps of a cycle, and after each further multiple of them."""
        steps, cycle = self.wake_steps_in_cycle, self.wake_steps_per_cycle
        return cycle > 0 and steps > 0 and steps % cycle == 0

    @property
    def ends_cycle(self) -> bool:
        """Whether the step in progress is the last one before sleep."""
        cycle = self.wake_steps_per_cycle
        return cycle > 0 and (self.wake_steps_in_cycle + 1) % cycle == 0

    @property
    def memory_size(self) -> int:
        """Number of transitions in memory."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, bytes."""
        return 0

    def prepare(self, transition: Transition) -> Transition:
        """Returns the transition to learn from; called with each one, in order, before `learn`."""
        return transition

    @abstractmethod
    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """Chooses the next action, float32 (A,) in robot units.

        Args:
            joints: float64 (J,), rad.
            mode: one of the brain's `modes`.
            steps: wake steps before this action: total_steps, or one more while the last is not yet learned.
        """

    def carry(self, transition: Transition) -> None:
        """Updates a state that `act` depends on by a transition that is not yet learned; `learn` of it follows.

        Called only where an action is chosen before the step is learned from: a brain with such a state updates it in
        `learn` too, once a transition.

        Raises:
            UserError: as `learn` does.
        """
        return

    @abstractmethod
    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Learns from one transition; counts it with `count`.

        Args:
            episode: number of its episode, where it is learned again from a journal.

        Raises:
            UserError: the transition is invalid; nothing was learned.
        """

    def count(self, transition: Transition, episode: int | None = None) -> None:
        """Counts one wake step."""
        self.episode = self.episode + transition.boundary if episode is None else episode
        self.total_steps += 1
        self.wake_steps_in_cycle += 1

    def begin_cycle(self) -> None:
        """Begins a new cycle after a sleep; called by the consolidator on the learner whose state it returns."""
        self.wake_steps_in_cycle = 0
        self.cycles += 1

    def metrics(self) -> dict[str, float]:
        """Returns metrics for the status by name, NaN where unknown."""
        return {}

    def networks(self) -> Mapping[str, 'nn.Module']:
        """Returns the networks in use by name, for export: `actor`, `world` ...; empty where it gives none."""
        return {}

    def pictures(self) -> 'dict[str, Image]':
        """Returns what it sees and expects to see, uint8 (H, W, 3) RGB of one size by name, in the order to show them.

        Empty for a brain without pictures, and before the first step. Changes neither state nor random streams, since
        it is called only where they are shown.
        """
        return {}

    def action_uncertainty(self, observation: Observation) -> dict[str, float]:
        """Returns the uncertainty of the outcome of actions by their text; empty where it knows none.

        As `pictures` it changes nothing.
        """
        return {}

    def state(self) -> State:
        """Returns the state as named tensors, copied to the CPU; `counters()` is part of it."""
        return self.counters()

    def load(self, state: State) -> None:
        """Restores the state; raises KeyError, RuntimeError or ValueError for that of another model."""
        self.load_counters(state)

    def to_bytes(self) -> bytes:
        """Returns the state as safetensors."""
        from . import state_bytes

        return state_bytes.pack(self.state())

    def load_bytes(self, data: bytes) -> None:
        """Restores the state from safetensors; raises UserError where it is damaged or of another model."""
        from . import state_bytes

        with state_bytes.refusing('state of the online learner'):
            self.load(state_bytes.unpack(data, 'state of the online learner'))

    def counters(self) -> State:
        """Returns the counters as tensors named `counters.NAME`."""
        import torch

        return {f'counters.{name}': torch.tensor(int(getattr(self, name))) for name in COUNTERS}

    def load_counters(self, state: State) -> None:
        """Restores the counters."""
        for name in COUNTERS:
            setattr(self, name, int(state[f'counters.{name}']))


COUNTERS = ('total_steps', 'wake_steps_in_cycle', 'cycles', 'episode')


class Consolidator(ABC):
    """Learns a little from every experience awake, and most in sleep.

    Attributes:
        sequence: of the last experience learned. gaps: experiences that were not received.
        save_interval: sleeps from one save to the next; 0: only on request.
        max_duration: s after which a sleep is rolled back.
    """

    save_interval: int = 1
    max_duration: float = 300.0

    def __init__(self) -> None:
        self.sequence = self.gaps = 0

    @property
    def memory_size(self) -> int:
        """Number of transitions in memory."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, bytes."""
        return 0

    @property
    def alarms(self) -> list[str]:
        """Conditions that need attention, in words; empty without any."""
        return []

    @property
    def sleeps_rolled_back(self) -> int:
        """Number of sleeps of the model that the gate rolled back."""
        return 0

    @abstractmethod
    def learn(self, experience: Experience) -> dict[str, float]:
        """Learns from one experience, counted with `count`; returns metrics of this step by name.

        Called once for each, by rising sequence; a missing sequence is a gap.
        """

    def check(self, experience: Experience) -> None:
        """Raises UserError for invalid extras; the transition was checked already."""
        return

    def count(self, experience: Experience) -> None:
        """Counts one experience, and those missing before it."""
        self.gaps += experience.sequence - self.sequence - 1
        self.sequence = experience.sequence

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """Returns the prediction error before learning an experience, and that of a trivial predictor, same units.

        A replay stops when their ratio no longer falls; NaN for a brain without a score.

        Args:
            metrics: those that `learn` returned for it.
        """
        return math.nan, math.nan

    def adopt(self, online: OnlineLearner) -> None:
        """Continues from an online learner whose last experiences were not received; they count as a gap."""
        self.gaps += online.total_steps - self.sequence
        self.sequence = online.total_steps

    @abstractmethod
    def begin_sleep(self, online: State, goal: Goal) -> 'SleepRun':
        """Prepares a sleep.

        Args:
            online: state of the online learner. The sleep may train a copy of it.
        """

    def metrics(self) -> dict[str, float]:
        """Returns metrics for the status by name, NaN where unknown."""
        return {}

    def wake_row(self, experience: Experience, metrics: Mapping[str, float]) -> dict[str, float | int | str]:
        """Returns the row of training.log for a wake step, by column; `metrics` are those of `learn`."""
        return {**experience.metrics, **metrics}

    def sleep_row(self, run: 'SleepRun') -> dict[str, float | int | str]:
        """Returns the row of training.log for a sleep, by column."""
        return {**run.statistics.means, **run.verdict.metrics}

    def save_row(self) -> dict[str, float | int | str]:
        """Returns the row of training.log for a save, by column."""
        return {}

    def networks(self) -> Mapping[str, 'nn.Module']:
        """Returns the networks that it trains by name, for export; empty where it gives none."""
        return {}

    def state(self) -> dict[str, State]:
        """Returns the state by part and name, copied to the CPU; parts are the files of a generation.

        `counters()` is in the part CONSOLIDATOR.
        """
        return {CONSOLIDATOR: self.counters()}

    def load(self, parts: dict[str, State]) -> None:
        """Restores the state; raises KeyError, RuntimeError or ValueError for that of another model."""
        self.load_counters(parts[CONSOLIDATOR])

    def counters(self) -> State:
        """Returns the counters as tensors named `counters.NAME`."""
        import torch

        return {'counters.sequence': torch.tensor(self.sequence), 'counters.gaps': torch.tensor(self.gaps)}

    def load_counters(self, state: State) -> None:
        """Restores the counters."""
        self.sequence, self.gaps = int(state['counters.sequence']), int(state['counters.gaps'])


class SleepRun(ABC):
    """One sleep: run it step by step, finish it, then keep it or roll it back.

    Attributes:
        statistics: updated while it runs.
        verdict: final after `finish`. If `rolled_back` is true the caller must call `roll_back()`.
    """

    def __init__(self) -> None:
        self.statistics = SleepStatistics()
        self.verdict = Verdict()

    @property
    def diverged(self) -> bool:
        """Whether an optimiser step was refused, or a mean of a phase that ran is infinite."""
        ran = sum(self.statistics.steps.values()) > 0
        return ran and (self.statistics.refused > 0 or any(map(math.isinf, self.statistics.means.values())))

    @abstractmethod
    def run(self) -> Iterator[Progress]:
        """Yields after each optimiser step; stop iterating and `roll_back` to cancel."""

    @abstractmethod
    def finish(self) -> State:
        """Judges the sleep, begins the new cycle, and returns the new state of the online learner."""

    @abstractmethod
    def roll_back(self) -> None:
        """Restores the consolidator as it was before the sleep."""


class Brain(ABC):
    """Definition of a brain: its settings, inputs and phases, and how to make its learners.

    Attributes:
        name: as in configuration.
        settings: class of its settings, which config.json of a model keeps.
        headlines: metrics that views show first, with whether higher is better.
        columns: of training.log, beside `timestamp`, `event`, `step` and `cycle`.
        modes: in which it acts, of `comms.ACTING_MODES`. `curiosity` uses the policy of the brain, `greedy` its most
            likely action, for evaluation.
        short_cycles: settings by dotted name for cycles of one or two seconds, for crash tests.
    """

    name: str
    settings: type[Settings] = Settings
    headlines: Mapping[str, bool] = {}
    columns: tuple[str, ...] = ()
    modes: tuple[str, ...] = ('random', 'curiosity')
    short_cycles: Mapping[str, Any] = {}

    @abstractmethod
    def inputs(self, settings: Settings, robot: RobotInfo) -> tuple[Input, ...]:
        """Returns what the brain perceives of a robot; raises UserError where the robot lacks it."""

    def needs_encoder(self, settings: Settings) -> bool:
        """Returns whether it perceives embeddings, so that an encoder must run."""
        return True

    def needs_reward(self, settings: Settings) -> bool:
        """Returns whether it learns only on robots that give a reward."""
        return False

    def check(self, settings: Settings) -> None:
        """Raises UserError for settings that name an unknown part: in config.json they could not be changed."""
        return

    @abstractmethod
    def phases(self, settings: Settings) -> tuple[str, ...]:
        """Returns the phases of a sleep by name, in order."""

    @abstractmethod
    def make_online_learner(self, model: Model) -> OnlineLearner:
        """Makes the untrained online learner of a model; equal models give equal weights."""

    @abstractmethod
    def make_consolidator(self, model: Model, device: str) -> Consolidator:
        """Makes the untrained consolidator of a model on a torch device."""

    def is_weight(self, part: str, name: str) -> bool:
        """Returns whether a tensor counts in the hash of the weights; optimisers, counters and memories do not."""
        return part != 'memory' and 'optimizer' not in name and not name.startswith('counters.')


def find(name: str) -> Brain:
    """Returns a brain by name.

    Raises:
        UserError: there is no brain of that name.
    """
    found = BRAINS.find(name)
    brain: Brain = getattr(found, 'BRAIN', found)
    return brain


def inputs_of(brain: Brain, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
    """Returns what a brain perceives of a robot.

    A robot without modalities, from an old recording, is assumed to have them. Every robot with joints senses `joints`.

    Raises:
        UserError: the robot lacks an input, or the reward that the brain needs; or joints are the only input.
    """
    inputs = brain.inputs(settings, robot)
    senses = (*robot.modalities, *((JOINTS,) if robot.joint_names else ()))
    for each in inputs:
        is_named = bool(robot.modalities) or each.name == JOINTS
        if each.kind != 'embedding' and is_named and each.name not in senses:
            raise UserError(
                f'brain {brain.name!r}',
                expected=f'a robot that senses {each.name!r}',
                found=f'{robot.name!r}, which senses {", ".join(senses)}',
                do='Choose another robot or brain.',
            )
    if {each.name for each in inputs} == {JOINTS}:
        # An answer says where the joints are, but not when the next observation is complete.
        raise UserError(f'inputs of brain {brain.name!r}', expected=f'another one beside {JOINTS!r}', found='none')
    check_reward(brain, settings, robot)
    return inputs


def check_reward(brain: Brain, settings: Any, robot: RobotInfo) -> None:
    """Raises UserError for a robot without the reward that a brain needs."""
    if brain.needs_reward(settings) and not robot.has_reward:
        raise UserError(
            f'brain {brain.name!r}', expected='a robot that gives a reward', found=f'{robot.name!r}, which gives none',
            do='Choose another robot or brain.',
        )  # fmt: skip


def check_mode(brain: Brain, mode: str) -> None:
    """Raises UserError for a mode in which a brain can't act."""
    if mode in ACTING_MODES and mode not in brain.modes:
        raise UserError(f'mode of brain {brain.name!r}', expected=' or '.join(brain.modes), found=repr(mode))


def check_goal(goal: Goal, phases: tuple[str, ...]) -> None:
    """Raises UserError for a goal that names a phase that the brain does not have."""
    unknown = sorted(set(goal.steps) - set(phases))
    if unknown:
        raise UserError(f'phase {unknown[0]!r} of a sleep', expected='one of ' + ', '.join(phases), found=unknown[0])
