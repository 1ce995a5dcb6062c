"""The contract of a brain: an online learner that acts and learns awake, and a consolidator that learns from memory.

The nodes `fast_learner` and `slow_learner`, training, replay, the model folder and its journal know a brain by this
file alone. A brain is a folder `brains/NAME/`, or an entry point of the group `cls_learning.brains`, that gives
`BRAIN`. Both halves are plain objects, a function of their state and of what they are given: the same state and the
same transitions give the same weights, since a journal is learned again after a crash.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import math
from typing import Any, Literal, Protocol, TYPE_CHECKING

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.settings import Settings
from cls_common.transition import Doubles, EMBEDDING, Experience, Floats, Observation, Transition

from .registries import BRAINS

if TYPE_CHECKING:  # brains are listed and models are read without PyTorch
    from torch import Tensor

State = dict[str, 'Tensor']
# Parts of a model, each a file of a generation; a consolidator may have more.
ONLINE, CONSOLIDATOR = 'online', 'consolidator'


@dataclass(frozen=True)
class Input:
    """One thing that a brain perceives of a robot.

    Attributes:
        name: of the reading: `embedding`, `camera` for an image, or the modality of a vector.
        kind: an embedding of the model's encoder, the images of the camera, or a vector.
        size: (height, width) to which images are brought, pixels; () otherwise.
    """

    name: str = EMBEDDING
    kind: Literal['embedding', 'image', 'vector'] = 'embedding'
    size: tuple[int, ...] = ()


@dataclass(frozen=True)
class Goal:
    """Steps of a sleep by phase name. Missing or 0: as configured. -1: skip the phase."""

    steps: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """One optimiser step done: phase, done and planned steps of it, loss."""

    phase: str
    step: int
    steps: int
    loss: float


@dataclass
class SleepStatistics:
    """What a sleep did.

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
    """What a sleep did to the scores on held-out transitions.

    Attributes:
        judged: there was enough to judge by. rolled_back: it did harm and is not kept.
        text: all of it in words. summary: the scores before and after, in a few words.
        metrics: the same as figures by name.
    """

    judged: bool = False
    rolled_back: bool = False
    text: str = 'not judged: this brain gives no score'
    summary: str = ''
    metrics: Mapping[str, float] = field(default_factory=dict)


class Model(Protocol):
    """What a model is made from; its config.json.

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
    """Acts, and learns from every step. Everything it becomes is a function of its state and its transitions.

    Attributes:
        total_steps: wake steps of the model, the sequence of the last experience.
        wake_steps_in_cycle: since the last sleep. cycles: sleeps kept.
        episode: rises at every boundary.
        wake_steps_per_cycle: after which sleep is wanted; 0: never by itself.
        acts_before_learning: the next action goes out before the last step is learned from.
    """

    wake_steps_per_cycle: int = 0
    acts_before_learning: bool = True

    def __init__(self) -> None:
        self.total_steps = self.wake_steps_in_cycle = self.cycles = self.episode = 0

    @property
    def wants_sleep(self) -> bool:
        """Whether the waking part of this cycle is over; again after each further one of its length."""
        steps, cycle = self.wake_steps_in_cycle, self.wake_steps_per_cycle
        return cycle > 0 and steps > 0 and steps % cycle == 0

    @property
    def ends_cycle(self) -> bool:
        """Whether the step that is about to close is the last one before sleep."""
        cycle = self.wake_steps_per_cycle
        return cycle > 0 and (self.wake_steps_in_cycle + 1) % cycle == 0

    @property
    def memory_size(self) -> int:
        """Transitions held."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Bytes that they take."""
        return 0

    def prepare(self, transition: Transition) -> Transition:
        """Returns the transition as it is to be learned; called with each, in order, before `learn`."""
        return transition

    @abstractmethod
    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """Chooses the next action, float32 (A,) in robot units.

        Args:
            joints: float64 (J,), rad.
            mode: 'random' or 'curiosity'.
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
            episode: that it belongs to, where that is known because it was learned before.

        Raises:
            UserError: it can't be learned from; nothing was learned.
        """

    def count(self, transition: Transition, episode: int | None = None) -> None:
        """Counts one wake step."""
        self.episode = self.episode + transition.boundary if episode is None else episode
        self.total_steps += 1
        self.wake_steps_in_cycle += 1

    def begin_cycle(self) -> None:
        """Begins a new cycle after a sleep; called by the consolidator on the online learner that it hands back."""
        self.wake_steps_in_cycle = 0
        self.cycles += 1

    def metrics(self) -> dict[str, float]:
        """Returns figures for the status by name, NaN where unknown."""
        return {}

    def state(self) -> State:
        """Returns everything by name, copied to the CPU; `counters()` is part of it."""
        return self.counters()

    def load(self, state: State) -> None:
        """Takes everything back; raises KeyError, RuntimeError or ValueError where it can't."""
        self.load_counters(state)

    def to_bytes(self) -> bytes:
        """Returns the state as safetensors."""
        from . import state_bytes

        return state_bytes.pack(self.state())

    def load_bytes(self, data: bytes) -> None:
        """Takes the state back from safetensors; raises UserError where it belongs to another model or is damaged."""
        from . import state_bytes

        with state_bytes.refusing('state of the online learner'):
            self.load(state_bytes.unpack(data, 'state of the online learner'))

    def counters(self) -> State:
        """Returns the counters as tensors named `counters.NAME`."""
        import torch

        return {f'counters.{name}': torch.tensor(int(getattr(self, name))) for name in COUNTERS}

    def load_counters(self, state: State) -> None:
        """Takes the counters back."""
        for name in COUNTERS:
            setattr(self, name, int(state[f'counters.{name}']))


COUNTERS = ('total_steps', 'wake_steps_in_cycle', 'cycles', 'episode')


class Consolidator(ABC):
    """Learns a little from every experience awake, and most of it asleep.

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
        """Transitions held."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Bytes that they take."""
        return 0

    @property
    def alarms(self) -> list[str]:
        """What a person should look at, in words; empty when all is well."""
        return []

    @property
    def sleeps_rolled_back(self) -> int:
        """Sleeps that the gate rolled back, in the life of the model."""
        return 0

    @abstractmethod
    def learn(self, experience: Experience) -> dict[str, float]:
        """Learns from one experience, counted with `count`; returns figures of this step by name.

        Each comes once and in order; a hole in the sequence is a gap.
        """

    def check(self, experience: Experience) -> None:
        """Raises UserError for extras that can't be learned from; the transition was checked already."""
        return

    def count(self, experience: Experience) -> None:
        """Counts one experience, and those missing before it."""
        self.gaps += experience.sequence - self.sequence - 1
        self.sequence = experience.sequence

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """Returns the error of prediction before learning an experience, and that of a trivial rival, same units.

        A replay stops when their ratio no longer falls; NaN for a brain without a score.

        Args:
            metrics: those that `learn` returned for it.
        """
        return math.nan, math.nan

    def adopt(self, online: OnlineLearner) -> None:
        """Goes on from an online learner whose last experiences were not received."""
        self.gaps += online.total_steps - self.sequence
        self.sequence = online.total_steps

    @abstractmethod
    def begin_sleep(self, online: State, goal: Goal) -> 'SleepRun':
        """Prepares a sleep.

        Args:
            online: state of the online learner, as handed over. The sleep may train a copy of it.
        """

    def metrics(self) -> dict[str, float]:
        """Returns figures for the status by name, NaN where unknown."""
        return {}

    def wake_row(self, experience: Experience, metrics: Mapping[str, float]) -> dict[str, float | int | str]:
        """Returns what training.log gets of a wake step, by column; `metrics` are those of `learn`."""
        return {**experience.metrics, **metrics}

    def sleep_row(self, run: 'SleepRun') -> dict[str, float | int | str]:
        """Returns what training.log gets of a sleep, by column."""
        return {**run.statistics.means, **run.verdict.metrics}

    def save_row(self) -> dict[str, float | int | str]:
        """Returns what training.log gets of a save, by column."""
        return {}

    def state(self) -> dict[str, State]:
        """Returns everything by part and name, copied to the CPU; parts are the files of a generation.

        `counters()` is in the part CONSOLIDATOR.
        """
        return {CONSOLIDATOR: self.counters()}

    def load(self, parts: dict[str, State]) -> None:
        """Takes everything back; raises KeyError, RuntimeError or ValueError where it can't."""
        self.load_counters(parts[CONSOLIDATOR])

    def counters(self) -> State:
        """Returns the counters as tensors named `counters.NAME`."""
        import torch

        return {'counters.sequence': torch.tensor(self.sequence), 'counters.gaps': torch.tensor(self.gaps)}

    def load_counters(self, state: State) -> None:
        """Takes the counters back."""
        self.sequence, self.gaps = int(state['counters.sequence']), int(state['counters.gaps'])


class SleepRun(ABC):
    """One sleep: run it step by step, finish it, then keep it or roll it back.

    Attributes:
        statistics: filled in as it runs.
        verdict: whole after `finish`. If `rolled_back` is true the caller must call `roll_back()`.
    """

    def __init__(self) -> None:
        self.statistics = SleepStatistics()
        self.verdict = Verdict()

    @property
    def diverged(self) -> bool:
        """Whether an optimiser step had to be refused, or a mean is infinite though its phase ran."""
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
    """What the house needs to know of a brain before there is a model.

    Attributes:
        name: by which people choose it.
        settings: its recipe, frozen in a model's config.json.
        headlines: metrics that a view shows first, each with whether higher is better.
        columns: of training.log, beside `timestamp`, `event`, `step` and `cycle`.
        short_cycles: settings by dotted name with which a cycle takes a second or two, for crash tests.
    """

    name: str
    settings: type[Settings] = Settings
    headlines: Mapping[str, bool] = {}
    columns: tuple[str, ...] = ()
    short_cycles: Mapping[str, Any] = {}

    @abstractmethod
    def inputs(self, settings: Settings, robot: RobotInfo) -> tuple[Input, ...]:
        """Returns what the brain perceives of a robot; raises UserError where the robot lacks it."""

    def needs_encoder(self) -> bool:
        """Whether it perceives embeddings, so that an encoder must run."""
        return True

    def check(self, settings: Settings) -> None:
        """Raises UserError for settings that name what does not exist: frozen, they could not be mended."""
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
        UserError: there is none of that name.
    """
    found = BRAINS.find(name)
    brain: Brain = getattr(found, 'BRAIN', found)
    return brain


def inputs_of(brain: Brain, settings: Any, robot: RobotInfo) -> tuple[Input, ...]:
    """Returns what a brain perceives of a robot.

    A robot without modalities, from an old recording, is taken to have them.

    Raises:
        UserError: the robot lacks one.
    """
    inputs = brain.inputs(settings, robot)
    for each in inputs:
        if each.kind != 'embedding' and robot.modalities and each.name not in robot.modalities:
            raise UserError(
                f'brain {brain.name!r}', expected=f'a robot that senses {each.name!r}',
                found=f'{robot.name!r}, which senses {", ".join(robot.modalities)}',
                do='Choose another robot or brain.',
            )  # fmt: skip
    return inputs


def check_goal(goal: Goal, phases: tuple[str, ...]) -> None:
    """Raises UserError for a goal that names a phase that the brain does not have."""
    unknown = sorted(set(goal.steps) - set(phases))
    if unknown:
        raise UserError(f'phase {unknown[0]!r} of a sleep', expected='one of ' + ', '.join(phases), found=unknown[0])
