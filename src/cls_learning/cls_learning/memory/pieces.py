"""Pieces of consecutive steps, balanced over episodes (learning probe, section 8).

Single transitions kept at random would leave no unbroken windows for dreams; pieces keep them.
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


class PieceMemory(ReplayMemory):
    """Keeps up to `capacity` transitions in pieces; when full, the episode with the most pieces loses a random one."""

    def __init__(self, capacity: int, piece_length: int, seed: int) -> None:
        self._capacity = capacity
        # A piece that outgrew the memory could not make room for itself.
        self._piece_length = min(piece_length, capacity)
        self._seed = seed
        self._pieces: list[list[Record]] = []
        self._count = 0

    def add(self, record: Record) -> None:
        last = self._pieces[-1] if self._pieces else None
        record = record.after(last[-1] if last else None)
        if last is not None and len(last) < self._piece_length and record.follows(last[-1]):
            last.append(record)
        else:
            self._pieces.append([record])
        self._count += 1
        while self._count > self._capacity:
            self._drop(record.sequence)

    def _drop(self, sequence: int) -> None:
        # The newest piece is still growing and never chosen.
        counts = Counter(piece[0].episode for piece in self._pieces[:-1])
        most = max(counts.values())
        episode = min(e for e, n in counts.items() if n == most)
        candidates = [i for i, piece in enumerate(self._pieces[:-1]) if piece[0].episode == episode]
        chosen = candidates[int(stream(self._seed, 'memory.drop', sequence).integers(len(candidates)))]
        self._count -= len(self._pieces.pop(chosen))

    def __len__(self) -> int:
        return self._count

    def records(self) -> list[Record]:
        return [record for piece in self._pieces for record in piece]

    def transitions(self, count: int, generator: np.random.Generator, context: int = 0) -> Batch:
        return before_last(self._draw(count, context + 1, generator), context)

    def window_count(self, steps: int) -> int:
        return int(np.maximum(self._lengths() - steps + 1, 0).sum())

    def windows(self, count: int, steps: int, generator: np.random.Generator) -> Windows:
        return to_windows(self._draw(count, steps, generator))

    def _draw(self, count: int, steps: int, generator: np.random.Generator) -> list[list[Record]]:
        ends = np.cumsum(np.maximum(self._lengths() - steps + 1, 0))
        chosen = generator.choice(int(ends[-1]), count, replace=False)
        pieces = np.searchsorted(ends, chosen, side='right')
        starts = chosen - np.where(pieces > 0, ends[pieces - 1], 0)
        return [self._pieces[p][s : s + steps] for p, s in zip(pieces, starts)]

    def _lengths(self) -> np.ndarray:
        return np.fromiter((len(piece) for piece in self._pieces), np.int64, len(self._pieces))

    def state(self) -> dict[str, Tensor]:
        return {'memory.lengths': torch.from_numpy(self._lengths()), **pack(self.records(), 'memory')}

    def load(self, state: Mapping[str, Tensor]) -> None:
        records = unpack(state, 'memory')
        ends = np.cumsum(state['memory.lengths'].numpy())
        self._pieces = [records[end - length : end] for end, length in zip(ends, state['memory.lengths'].tolist())]
        self._count = len(records)


def make(settings: MemorySettings, seed: int) -> PieceMemory:
    """Makes an empty memory."""
    return PieceMemory(settings.capacity, settings.piece_length, seed)
