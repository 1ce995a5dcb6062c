"""Holdout: transitions of the robot's own life that no night trains on, by which nights are judged."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..memory.contract import pack, Record, size_in_bytes, to_batch, unpack
from ..randomness import stream
from ..types import Batch

# Fewer have too large an error to judge a night by (learning probe, 7.9).
SMALLEST = 200
# Consecutive transitions that become probes together: single ones would leave few unbroken windows for dreams.
PIECE = 5
# Wake steps of which one piece may be kept apart; 40 pieces are there before the second night of the default recipe.
_BLOCK = 22
# The first wake steps are all for sleep: a first night may come soon.
_YOUNG = 100


def affordable(wanted: int, capacity: int) -> int:
    """Returns how many probes a memory of `capacity` transitions has room for: at most a quarter, or 0 if too few."""
    allowed = min(wanted, capacity // 4) // PIECE * PIECE
    return allowed if allowed >= SMALLEST else 0


class Holdout:
    """Whole pieces of consecutive transitions, spread evenly over life and over episodes.

    Until there are enough, one piece of each block of 22 steps is kept apart; later a block gives one with the chance
    count / (pieces of life so far), so that all of life stands the same chance (reservoir sampling, Vitter 1985). It
    takes the place of one of the episode with the most pieces. Whether a step becomes a probe depends on the seed, its
    sequence and on how many there are, never on time.

    Attributes:
        count: probes that there are to be, a multiple of PIECE.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._wanted = count // PIECE
        self._seed = seed
        self._pieces: list[list[Record]] = []
        self._growing: list[Record] = []
        self._block, self._first = -1, -1  # the block under way, and where its piece begins

    @property
    def room(self) -> int:
        """Transitions held at most, to be counted in the memory's capacity."""
        return (self._wanted + 1) * PIECE if self._wanted else 0

    def __len__(self) -> int:
        """Holdout to judge by: those of whole pieces."""
        return len(self._pieces) * PIECE

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return size_in_bytes(record for piece in (*self._pieces, self._growing) for record in piece)

    def take(self, record: Record) -> bool:
        """Takes one transition in its turn; returns whether it became a probe and must not be trained on."""
        if not self._wanted or record.sequence <= _YOUNG:
            return False
        block, place = _place(record)
        if self._growing and _place(self._growing[0])[0] != block:
            self._growing = []  # its other steps were never heard
        if block != self._block:
            self._block, self._first = block, self._first_of(block)
        if not self._first <= place < self._first + PIECE:
            return False
        self._growing.append(record.after(self._growing[-1] if self._growing else None))
        if len(self._growing) == PIECE:
            self._pieces.append(self._growing)
            self._growing = []
            self._make_room(block)
        return True

    def _first_of(self, block: int) -> int:
        """Returns where in a block its piece begins, out of it where the block gives none."""
        generator = stream(self._seed, 'probes', block)
        first = int(generator.integers(_BLOCK - PIECE + 1))
        is_chosen = len(self._pieces) < self._wanted or generator.random() * (block + 1) < self._wanted
        return first if is_chosen else _BLOCK

    def _make_room(self, block: int) -> None:
        if len(self._pieces) <= self._wanted:
            return
        older = self._pieces[:-1]
        counts = Counter(piece[0].episode for piece in older)
        most = max(counts.values())
        candidates = [i for i, piece in enumerate(older) if counts[piece[0].episode] == most]
        self._pieces.pop(candidates[int(stream(self._seed, 'probes.drop', block).integers(len(candidates)))])

    def batch(self) -> Batch:
        """Returns all probes in order of life, piece after piece; there must be some."""
        return to_batch([record for piece in self._pieces for record in piece])

    def names(self) -> np.ndarray:
        """Returns what names each piece: the sequence of its first transition, int64 (P,)."""
        return np.array([piece[0].sequence for piece in self._pieces], np.int64)

    def sequences(self) -> set[int]:
        """Returns the sequences of all that was kept apart."""
        return {record.sequence for piece in (*self._pieces, self._growing) for record in piece}

    def state(self) -> dict[str, Tensor]:
        """Returns everything held, by name."""
        whole = [record for piece in self._pieces for record in piece]
        return {**pack(whole, 'probes.whole'), **pack(self._growing, 'probes.growing')}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes everything back; none where it was written before there were probes."""
        self._pieces, self._growing = [], []
        self._block = -1
        if 'probes.whole.count' in state:
            whole = unpack(state, 'probes.whole')
            self._pieces = [whole[i : i + PIECE] for i in range(0, len(whole), PIECE)]
            self._growing = unpack(state, 'probes.growing')


def _place(record: Record) -> tuple[int, int]:
    """Returns which block a transition belongs to, and where in it."""
    return divmod(record.sequence - 1 - _YOUNG, _BLOCK)
