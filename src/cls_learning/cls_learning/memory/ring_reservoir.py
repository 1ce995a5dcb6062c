"""Memory of the online learner: a ring of the newest transitions and a reservoir sample of the older ones."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..randomness import stream
from ..types import Batch
from .contract import before_last, pack, Record, size_in_bytes, unpack


class RingReservoir:
    """Ring of recent transitions; those that leave it enter a uniform reservoir sample (Vitter 1985).

    Args:
        ring, reservoir: capacities, transitions.
        context: steps that are kept before each transition of the reservoir, for world models with a state.
    """

    def __init__(self, ring: int, reservoir: int, seed: int, context: int = 0) -> None:
        self._ring_size = ring
        self._reservoir_size = reservoir
        self._seed = seed
        self._context = context
        self._recent: list[Record] = []
        self._past: list[Record] = []  # the last `context` records that left the ring
        self._older: list[list[Record]] = []  # stretches of consecutive records; the last one of each is the sample
        self._left = 0  # records that have left the ring so far

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    @property
    def nbytes(self) -> int:
        """Memory in use, bytes."""
        older = (record for stretch in self._older for record in stretch)
        return size_in_bytes([*older, *self._past, *self._recent])

    def add(self, record: Record) -> None:
        """Adds one transition."""
        self._recent.append(record.sharing(self._recent[-1] if self._recent else None))
        if len(self._recent) > self._ring_size:
            self._leave(self._recent.pop(0))

    def _leave(self, record: Record) -> None:
        self._left += 1
        stretch = self._stretch([*self._past, record])
        self._past = [*self._past, record][-self._context :] if self._context else []
        if len(self._older) < self._reservoir_size:
            self._older.append(stretch)
        elif self._reservoir_size:
            slot = int(stream(self._seed, 'reservoir', self._left).integers(self._left))
            if slot < self._reservoir_size:
                self._older[slot] = stretch

    def _stretch(self, records: list[Record]) -> list[Record]:
        """Returns the last record with the consecutive steps before it, context + 1 records at most."""
        begin = len(records) - 1
        while begin > max(0, len(records) - 1 - self._context) and records[begin].follows(records[begin - 1]):
            begin -= 1
        return records[begin:]

    def _in_ring(self, at: int) -> list[Record]:
        """Returns the record at an index of the ring, with the consecutive steps before it."""
        missing = max(self._context - at, 0)
        past = self._past[-missing:] if missing else []
        return self._stretch([*past, *self._recent[max(at - self._context, 0) : at + 1]])

    def minibatch(self, recent: int, older: int, generator: np.random.Generator) -> Batch:
        """Returns the newest transition, up to `recent` others of the ring and up to `older` of the reservoir.

        While the reservoir is empty, its share is sampled from the ring.

        Returns:
            z, z_next (B, D), action (B, A), joints (B, J), B = 1 + recent + older at most.
        """
        if not self._older:
            recent, older = recent + older, 0
        others = len(self._recent) - 1
        chosen = [self._in_ring(others)]
        if recent and others:
            chosen += [self._in_ring(int(i)) for i in generator.choice(others, min(recent, others), replace=False)]
        if older:
            count = min(older, len(self._older))
            chosen += [self._older[i] for i in generator.choice(len(self._older), count, replace=False)]
        return before_last(chosen, self._context)

    def sample(self, count: int, generator: np.random.Generator) -> Batch:
        """Samples B = min(count, len) different transitions of ring and reservoir uniformly; shapes as `minibatch`."""
        older = len(self._older)
        chosen = generator.choice(len(self), min(count, len(self)), replace=False)
        stretches = [self._older[i] if i < older else self._in_ring(int(i) - older) for i in chosen]
        return before_last(stretches, self._context)

    def latest(self, episode: int) -> list[Record]:
        """Returns the records of the ring that belong to an episode, by rising sequence."""
        begin = len(self._recent)
        while begin and self._recent[begin - 1].episode == episode:
            begin -= 1
        return self._recent[begin:]

    def records(self) -> list[Record]:
        """Returns everything held, by rising sequence."""
        return sorted((s[-1] for s in self._older), key=lambda record: record.sequence) + self._recent

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors, on the CPU."""
        state = {
            'ring.left': torch.tensor(self._left),
            **pack(self._recent, 'ring.recent'),
            **pack([record for stretch in self._older for record in stretch], 'ring.older'),
        }
        if self._context:
            lengths = torch.tensor([len(stretch) for stretch in self._older], dtype=torch.int64)
            state |= {'ring.older.lengths': lengths, **pack(self._past, 'ring.past')}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state."""
        self._left = int(state['ring.left'])
        self._recent = unpack(state, 'ring.recent')
        older = unpack(state, 'ring.older')
        lengths = state['ring.older.lengths'].tolist() if self._context else [1] * len(older)
        ends = np.cumsum(lengths).tolist()
        self._older = [older[end - length : end] for end, length in zip(ends, lengths)]
        self._past = unpack(state, 'ring.past') if self._context else []
