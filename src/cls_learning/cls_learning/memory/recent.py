"""What the waking half remembers: the last steps, and a sample of those from longer ago."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..randomness import stream
from ..types import Batch
from .contract import pack, Record, size_in_bytes, to_batch, unpack


class RecentMemory:
    """A ring of recent transitions; what falls out of it enters a reservoir of equal chances (Vitter 1985)."""

    def __init__(self, ring: int, reservoir: int, seed: int) -> None:
        self._ring_size = ring
        self._reservoir_size = reservoir
        self._seed = seed
        self._recent: list[Record] = []
        self._older: list[Record] = []
        self._left = 0  # records that ever fell out of the ring

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return size_in_bytes(self.records())

    def add(self, record: Record) -> None:
        """Takes one transition."""
        self._recent.append(record.after(self._recent[-1] if self._recent else None))
        if len(self._recent) > self._ring_size:
            self._leave(self._recent.pop(0))

    def _leave(self, record: Record) -> None:
        self._left += 1
        if len(self._older) < self._reservoir_size:
            self._older.append(record)
        elif self._reservoir_size:
            slot = int(stream(self._seed, 'reservoir', self._left).integers(self._left))
            if slot < self._reservoir_size:
                self._older[slot] = record

    def minibatch(self, recent: int, older: int, generator: np.random.Generator) -> Batch:
        """Returns the newest transition, then up to `recent` others of the ring and up to `older` ones.

        While the reservoir is empty its share comes from the ring.
        """
        if not self._older:
            recent, older = recent + older, 0
        others = len(self._recent) - 1
        chosen = [self._recent[-1]]
        if recent and others:
            chosen += [self._recent[i] for i in generator.choice(others, min(recent, others), replace=False)]
        if older:
            count = min(older, len(self._older))
            chosen += [self._older[i] for i in generator.choice(len(self._older), count, replace=False)]
        return to_batch(chosen)

    def sample(self, count: int, generator: np.random.Generator) -> Batch:
        """Draws min(count, len) different transitions of ring and reservoir together."""
        everything = self._older + self._recent
        chosen = generator.choice(len(everything), min(count, len(everything)), replace=False)
        return to_batch([everything[i] for i in chosen])

    def latest(self, episode: int) -> list[Record]:
        """Returns the newest records that follow each other in an episode, in order."""
        begin = len(self._recent)
        while begin and self._recent[begin - 1].episode == episode:
            begin -= 1
        return self._recent[begin:]

    def records(self) -> list[Record]:
        """Everything held, in the order of life."""
        return sorted(self._older, key=lambda record: record.sequence) + self._recent

    def state(self) -> dict[str, Tensor]:
        """Returns everything held, by name."""
        return {
            'ring.left': torch.tensor(self._left),
            **pack(self._recent, 'ring.recent'),
            **pack(self._older, 'ring.older'),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes everything back."""
        self._left = int(state['ring.left'])
        self._recent = unpack(state, 'ring.recent')
        self._older = unpack(state, 'ring.older')
