"""The consolidator of the brain `cross_modal`: Slow, and the memory by which it learns in sleep."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from cls_common.transition import Experience

from ...brain import CONSOLIDATOR, Consolidator, Goal, Model, SleepRun, State
from ...learners.optimisation import load_module, module_state, prefixed, select
from ...memory.observation_memory import ObservationMemory
from ...randomness import derive, stream
from .model import CrossModalModel
from .online_learner import CrossModalOnlineLearner

MEMORY, HELD_OUT = 'memory', 'held_out'
# One segment in so many is held out, to judge sleeps by.
_HELD_OUT_EVERY = 6


class CrossModalConsolidator(Consolidator):
    """Remembers awake, and learns asleep alone, so that what it knows does not depend on when a world changed.

    It runs on the CPU, whatever the device: its networks are too small for another one.

    Attributes:
        slow: what was learned so far. memory, held_out: segments to learn from, and to judge sleeps by.
        anchor: state of the penalty on changes of weights; empty before the first anchor, or without a penalty.
    """

    def __init__(self, model: Model, device: str = 'cpu') -> None:
        super().__init__()
        self.settings, self.seed = model.settings, model.seed
        self.save_interval = self.settings.save_interval
        self.max_duration = self.settings.sleep.max_duration
        self.online_copy = CrossModalOnlineLearner(model)
        self.sizes = {name: shape[0] for name, shape in model.shapes.items()}
        self.slow = CrossModalModel(
            self.settings, self.sizes, self.online_copy.code.size, derive(model.seed, 'network')
        )
        self.memory, self.held_out = (ObservationMemory(self.settings.memory) for _ in range(2))
        self.anchor: State = {}
        self.rolled_back = self._worlds = 0

    @property
    def memory_size(self) -> int:
        """Transitions held, those by which sleeps are judged included."""
        return len(self.memory) + len(self.held_out)

    @property
    def memory_bytes(self) -> int:
        """Bytes that they take."""
        return self.memory.nbytes + self.held_out.nbytes

    @property
    def sleeps_rolled_back(self) -> int:
        """Sleeps that the gate rolled back."""
        return self.rolled_back

    def learn(self, experience: Experience) -> dict[str, float]:
        """Takes one experience into memory, as one of the world that has held since the last change."""
        self.count(experience)
        self._worlds += bool(experience.metrics['changed'])
        experience = replace(experience, episode=self._worlds)
        block = experience.sequence // self.settings.memory.segment
        is_held_out = stream(self.seed, 'held_out', block).integers(_HELD_OUT_EVERY) == 0
        (self.held_out if is_held_out else self.memory).add(experience)
        return {}

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """See Consolidator: the errors of the better online learner, and of predicting no change."""
        return experience.metrics['error_before'], experience.metrics['copy_error']

    def begin_sleep(self, online: State, goal: Goal) -> SleepRun:
        """See Consolidator."""
        from .sleep_run import CrossModalSleepRun

        return CrossModalSleepRun(self, online, goal)

    def metrics(self) -> dict[str, float]:
        """Returns the share of the memory that its settings allow."""
        return {'memory_full': min(1.0, len(self.memory) / self.settings.memory.capacity)}

    def save_row(self) -> dict[str, float | int | str]:
        """See Consolidator."""
        return {'replay_size': self.memory_size}

    def networks(self) -> dict[str, nn.Module]:
        """See Consolidator."""
        return {'slow': self.slow}

    def state(self) -> dict[str, State]:
        """Returns Slow and counters, and both memories."""
        return {CONSOLIDATOR: self.learner_state(), MEMORY: self.memory.state(), HELD_OUT: self.held_out.state()}

    def learner_state(self) -> State:
        """Returns everything but the memories, by name."""
        own = self.counters() | module_state('slow', self.slow) | {'worlds': torch.tensor(self._worlds)}
        return own | prefixed('penalty', self.anchor)

    def load(self, parts: dict[str, State]) -> None:
        """See Consolidator."""
        self.load_learner(parts[CONSOLIDATOR])
        self.memory.load(parts[MEMORY])
        self.held_out.load(parts[HELD_OUT])

    def load_learner(self, state: State) -> None:
        """Takes everything but the memories back."""
        self.load_counters(state)
        load_module('slow', self.slow, state)
        self.anchor = select('penalty', state)
        self._worlds = int(state['worlds'])
