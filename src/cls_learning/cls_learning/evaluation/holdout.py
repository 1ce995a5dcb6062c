"""Held-out transitions: no sleep trains on them, and each sleep is judged by them."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..memory.contract import pack, Record, size_in_bytes, to_batch, unpack
from ..randomness import stream
from ..types import Batch

# Fewest held-out transitions: with fewer the standard error of a score is too large to judge a sleep by.
SMALLEST = 200
# Consecutive transitions in a held-out segment: single ones would leave few windows for the rollouts of REM.
SEGMENT = 5
# Wake steps of which one segment may be held out: 40 segments before the second sleep of the default recipe.
_BLOCK = 22
# None of the first wake steps is held out: the first sleep may come soon.
_YOUNG = 100


def affordable(wanted: int, capacity: int) -> int:
    """Returns how many held-out transitions a memory of `capacity` affords: at most a quarter, or 0 if too few."""
    allowed = min(wanted, capacity // 4) // SEGMENT * SEGMENT
    return allowed if allowed >= SMALLEST else 0


class Holdout:
    """Segments of consecutive transitions, distributed evenly over the run and over episodes.

    Until the set is complete, each block of 22 steps gives one segment; later a block gives one with the probability
    count / (segments so far), so that all blocks have the same chance (reservoir sampling, Vitter 1985), and it
    replaces one of the episode that has the most. Whether a step is held out depends on the seed, its sequence and the
    size of the set, not on time.

    Attributes:
        count: number of held-out transitions once complete, a multiple of SEGMENT.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._wanted = count // SEGMENT
        self._seed = seed
        self._segments: list[list[Record]] = []
        self._growing: list[Record] = []
        self._block, self._first = -1, -1  # the current block, and where its segment begins

    @property
    def room(self) -> int:
        """Largest number of transitions held; part of the memory's capacity."""
        return (self._wanted + 1) * SEGMENT if self._wanted else 0

    def __len__(self) -> int:
        """Returns the number of held-out transitions in whole segments."""
        return len(self._segments) * SEGMENT

    @property
    def nbytes(self) -> int:
        """Memory in use, bytes."""
        return size_in_bytes(record for segment in (*self._segments, self._growing) for record in segment)

    def take(self, record: Record) -> bool:
        """Offers the next transition; returns whether it is held out and must not be trained on."""
        if not self._wanted or record.sequence <= _YOUNG:
            return False
        block, place = _place(record)
        if self._growing and _place(self._growing[0])[0] != block:
            self._growing = []  # its other steps were not received
        if block != self._block:
            self._block, self._first = block, self._first_of(block)
        if not self._first <= place < self._first + SEGMENT:
            return False
        self._growing.append(record.sharing(self._growing[-1] if self._growing else None))
        if len(self._growing) == SEGMENT:
            self._segments.append(self._growing)
            self._growing = []
            self._make_room(block)
        return True

    def _first_of(self, block: int) -> int:
        """Returns where the segment of a block begins; _BLOCK, behind its last step, where it gives none."""
        generator = stream(self._seed, 'probes', block)
        first = int(generator.integers(_BLOCK - SEGMENT + 1))
        is_chosen = len(self._segments) < self._wanted or generator.random() * (block + 1) < self._wanted
        return first if is_chosen else _BLOCK

    def _make_room(self, block: int) -> None:
        if len(self._segments) <= self._wanted:
            return
        older = self._segments[:-1]
        counts = Counter(segment[0].episode for segment in older)
        most = max(counts.values())
        candidates = [i for i, segment in enumerate(older) if counts[segment[0].episode] == most]
        self._segments.pop(candidates[int(stream(self._seed, 'probes.drop', block).integers(len(candidates)))])

    def batch(self) -> Batch:
        """Returns all held-out transitions by rising sequence; there must be one segment at least.

        Returns:
            z, z_next (P * SEGMENT, D), action (P * SEGMENT, A), joints (P * SEGMENT, J).
        """
        return to_batch([record for segment in self._segments for record in segment])

    def names(self) -> np.ndarray:
        """Returns the name of each segment, the sequence of its first transition, int64 (P,)."""
        return np.array([segment[0].sequence for segment in self._segments], np.int64)

    def sequences(self) -> set[int]:
        """Returns the sequences of all held-out transitions."""
        return {record.sequence for segment in (*self._segments, self._growing) for record in segment}

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors."""
        whole = [record for segment in self._segments for record in segment]
        return {**pack(whole, 'probes.whole'), **pack(self._growing, 'probes.growing')}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state; empty for a state of a version without held-out transitions."""
        self._segments, self._growing = [], []
        self._block = -1
        if 'probes.whole.count' in state:
            whole = unpack(state, 'probes.whole')
            self._segments = [whole[i : i + SEGMENT] for i in range(0, len(whole), SEGMENT)]
            self._growing = unpack(state, 'probes.growing')


def _place(record: Record) -> tuple[int, int]:
    """Returns the block of a transition and its index in the block."""
    return divmod(record.sequence - 1 - _YOUNG, _BLOCK)
