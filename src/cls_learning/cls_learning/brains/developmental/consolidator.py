"""The consolidator of the brain `developmental`: a memory of pictures, from which it learns asleep."""

from collections.abc import Mapping
from dataclasses import replace
import math

from torch import nn

from cls_common.errors import UserError
from cls_common.transition import Experience

from ...brain import CONSOLIDATOR, Consolidator, Goal, Model, SleepRun, State
from ...memory.observation_memory import ObservationMemory
from ...randomness import stream
from .online_learner import DevelopmentalOnlineLearner
from .quality import warnings

MEMORY, HELD_OUT = 'memory', 'held_out'
# One segment in so many is held out, to judge sleeps by.
_HELD_OUT_EVERY = 6
_WATCHED = ('rests', 'share_constant', 'share_copy', 'share_blind', 'action_gap', 'action_variety', 'effective_rank')
# Steps after which figures are shown as warnings.
_EARLY = 100


class DevelopmentalConsolidator(Consolidator):
    """Remembers pictures of the whole life awake, and trains asleep what the online learner goes on with.

    It runs on the CPU, where the online learner runs too.

    Attributes:
        memory, held_out: segments to learn from, and to judge sleeps by.
    """

    def __init__(self, model: Model, device: str = 'cpu') -> None:
        super().__init__()
        self.settings, self.seed = model.settings, model.seed
        self.save_interval = self.settings.save_interval
        self.max_duration = self.settings.sleep.max_duration
        self.online_copy = DevelopmentalOnlineLearner(model)
        self.memory, self.held_out = (ObservationMemory(self.settings.memory) for _ in range(2))
        self.rolled_back = 0
        self._newest = dict.fromkeys(_WATCHED, math.nan)

    @property
    def memory_size(self) -> int:
        """Transitions held, those by which sleeps are judged included."""
        return len(self.memory) + len(self.held_out)

    @property
    def memory_bytes(self) -> int:
        """Bytes that they take."""
        return self.memory.nbytes + self.held_out.nbytes

    @property
    def alarms(self) -> list[str]:
        """What is wrong with seeing, predicting and acting, in words."""
        return warnings(self._newest, self.settings.gate.most_rests) if self.sequence > _EARLY else []

    @property
    def sleeps_rolled_back(self) -> int:
        """Sleeps that the gate rolled back."""
        return self.rolled_back

    def check(self, experience: Experience) -> None:
        """Raises UserError for metrics that are missing."""
        missing = [name for name in _WATCHED if name not in experience.metrics]
        if missing:
            raise UserError('experience of the brain developmental', expected=f'metric {missing[0]!r}', found='none')

    def learn(self, experience: Experience) -> dict[str, float]:
        """Takes one experience into memory."""
        self.count(experience)
        self._newest = {name: experience.metrics[name] for name in _WATCHED}
        # Episodes do not say what belongs together: all times of the life have the same chance to stay.
        block = experience.sequence // self.settings.memory.segment
        is_held_out = stream(self.seed, 'held_out', block).integers(_HELD_OUT_EVERY) == 0
        (self.held_out if is_held_out else self.memory).add(replace(experience, episode=0))
        return {}

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """See Consolidator: the errors of prediction and of copying the picture before."""
        return experience.metrics['error_before'], experience.metrics['copy_error']

    def begin_sleep(self, online: State, goal: Goal) -> SleepRun:
        """See Consolidator."""
        from .sleep_run import DevelopmentalSleepRun

        return DevelopmentalSleepRun(self, online, goal)

    def metrics(self) -> dict[str, float]:
        """Returns the share of the memory that its settings allow."""
        own = self.settings.memory
        return {'memory_full': min(1.0, max(len(self.memory) / own.capacity, self.memory.nbytes / own.max_bytes))}

    def save_row(self) -> dict[str, float | int | str]:
        """See Consolidator."""
        return {'replay_size': self.memory_size}

    def networks(self) -> dict[str, nn.Module]:
        """See Consolidator."""
        return self.online_copy.networks()

    def state(self) -> dict[str, State]:
        """Returns counters and both memories; the weights are the online learner's."""
        return {CONSOLIDATOR: self.counters(), MEMORY: self.memory.state(), HELD_OUT: self.held_out.state()}

    def load(self, parts: dict[str, State]) -> None:
        """See Consolidator."""
        self.load_counters(parts[CONSOLIDATOR])
        self.memory.load(parts[MEMORY])
        self.held_out.load(parts[HELD_OUT])
