"""Replay memory of short segments of consecutive transitions, balanced over episodes.

A uniform sample of single transitions has no windows of consecutive steps, which the rollouts of REM need.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..config import MemorySettings
from ..randomness import stream
from ..types import Batch, Windows
from .contract import before_last, pack, Record, ReplayMemory, to_windows, unpack


class SegmentBuffer(ReplayMemory):
    """Holds up to `capacity` transitions in segments.

    A full buffer removes a random segment of the episode that has the most, so that old episodes are kept.
    """

    def __init__(self, capacity: int, segment_length: int, seed: int) -> None:
        self._capacity = capacity
        # A segment longer than the memory could never be stored: only complete older segments are removed.
        self._segment_length = min(segment_length, capacity)
        self._seed = seed
        self._segments: list[list[Record]] = []
        self._count = 0

    def add(self, record: Record) -> None:
        last = self._segments[-1] if self._segments else None
        record = record.sharing(last[-1] if last else None)
        if last is not None and len(last) < self._segment_length and record.follows(last[-1]):
            last.append(record)
        else:
            self._segments.append([record])
        self._count += 1
        while self._count > self._capacity:
            self._drop(record.sequence)

    def _drop(self, sequence: int) -> None:
        # The newest segment is incomplete and never removed.
        counts = Counter(segment[0].episode for segment in self._segments[:-1])
        most = max(counts.values())
        episode = min(e for e, n in counts.items() if n == most)
        candidates = [i for i, segment in enumerate(self._segments[:-1]) if segment[0].episode == episode]
        chosen = candidates[int(stream(self._seed, 'memory.drop', sequence).integers(len(candidates)))]
        self._count -= len(self._segments.pop(chosen))

    def __len__(self) -> int:
        return self._count

    def records(self) -> list[Record]:
        return [record for segment in self._segments for record in segment]

    def transitions(self, count: int, generator: np.random.Generator, context: int = 0) -> Batch:
        return before_last(self._draw(count, context + 1, generator), context)

    def window_count(self, steps: int) -> int:
        return int(np.maximum(self._lengths() - steps + 1, 0).sum())

    def windows(self, count: int, steps: int, generator: np.random.Generator) -> Windows:
        return to_windows(self._draw(count, steps, generator))

    def _draw(self, count: int, steps: int, generator: np.random.Generator) -> list[list[Record]]:
        ends = np.cumsum(np.maximum(self._lengths() - steps + 1, 0))
        chosen = generator.choice(int(ends[-1]), count, replace=False)
        segments = np.searchsorted(ends, chosen, side='right')
        starts = chosen - np.where(segments > 0, ends[segments - 1], 0)
        return [self._segments[p][s : s + steps] for p, s in zip(segments, starts)]

    def _lengths(self) -> np.ndarray:
        return np.fromiter((len(segment) for segment in self._segments), np.int64, len(self._segments))

    def state(self) -> dict[str, Tensor]:
        return {'memory.lengths': torch.from_numpy(self._lengths()), **pack(self.records(), 'memory')}

    def load(self, state: Mapping[str, Tensor]) -> None:
        records = unpack(state, 'memory')
        ends = np.cumsum(state['memory.lengths'].numpy())
        self._segments = [records[end - length : end] for end, length in zip(ends, state['memory.lengths'].tolist())]
        self._count = len(records)


def make(settings: MemorySettings, seed: int) -> SegmentBuffer:
    """Makes an empty memory."""
    return SegmentBuffer(settings.capacity, settings.piece_length, seed)
