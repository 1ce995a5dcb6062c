"""Replay memory that drops its oldest transition first, as the original system does."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..config import MemorySettings
from ..types import Batch, Windows
from .contract import before_last, pack, Record, ReplayMemory, to_windows, unpack


class FifoMemory(ReplayMemory):
    """Ring of the last `capacity` transitions."""

    def __init__(self, capacity: int) -> None:
        self._records: deque[Record] = deque(maxlen=capacity)
        # Number of consecutive steps that end with each record: a window fits where it is long enough.
        self._runs: deque[int] = deque(maxlen=capacity)

    def add(self, record: Record) -> None:
        follows = bool(self._records) and record.follows(self._records[-1])
        self._runs.append(self._runs[-1] + 1 if follows else 1)
        self._records.append(record.sharing(self._records[-1] if self._records else None))

    def __len__(self) -> int:
        return len(self._records)

    def records(self) -> list[Record]:
        return list(self._records)

    def transitions(self, count: int, generator: np.random.Generator, context: int = 0) -> Batch:
        return before_last(self._draw(count, context + 1, generator), context)

    def window_count(self, steps: int) -> int:
        return len(self._ends(steps))

    def windows(self, count: int, steps: int, generator: np.random.Generator) -> Windows:
        return to_windows(self._draw(count, steps, generator))

    def _draw(self, count: int, steps: int, generator: np.random.Generator) -> list[list[Record]]:
        ends = generator.choice(self._ends(steps), count, replace=False)
        return [[self._records[i] for i in range(end - steps + 1, end + 1)] for end in ends]

    def _ends(self, steps: int) -> np.ndarray:
        runs = np.fromiter(self._runs, np.int64, len(self._runs))
        # The capacity may have removed the first steps of a run, so that its position bounds its length too.
        return np.flatnonzero(np.minimum(runs, np.arange(1, len(runs) + 1)) >= steps)

    def state(self) -> dict[str, Tensor]:
        return pack(list(self._records), 'memory')

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._records.clear()
        self._runs.clear()
        for record in unpack(state, 'memory'):
            self.add(record)


def make(settings: MemorySettings, seed: int) -> FifoMemory:
    """Makes an empty memory; `seed` is not used."""
    return FifoMemory(settings.capacity)
