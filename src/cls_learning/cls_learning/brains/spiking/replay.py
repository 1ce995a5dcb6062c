"""Replay memory of transitions between vectors, with reward and end of the episode; the oldest are dropped first."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...learners.optimisation import State


class Window(NamedTuple):
    """Unbroken steps, W windows of L: before, after (W, L, S) raw, code (W, L, E), reward, terminal (W, L).

    `elapsed` (W, L) are durations of the steps in nominal ones; None: all 1.
    """

    before: Tensor
    after: Tensor
    code: Tensor
    reward: Tensor
    terminal: Tensor
    elapsed: Tensor | None = None

    def elapsed_at(self, k: int) -> Tensor | None:
        """Returns the durations of the steps k, (W,)."""
        return None if self.elapsed is None else self.elapsed[:, k]


class Replay:
    """A ring of the last `capacity` transitions.

    Args:
        size: length of a state. action_size: of an action's code.
        has_durations: whether durations of steps are kept too.
    """

    def __init__(self, capacity: int, size: int, action_size: int, *, has_durations: bool = False) -> None:
        widths = {'before': (size,), 'after': (size,), 'code': (action_size,), 'reward': (), 'terminal': ()}
        widths |= {'elapsed': ()} if has_durations else {}
        self._rows = {name: torch.zeros(capacity, *width) for name, width in widths.items()}
        self._begins = torch.zeros(capacity, dtype=torch.bool)
        self._capacity = capacity
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    @property
    def nbytes(self) -> int:
        """Bytes taken by the transitions held."""
        return len(self) * sum(rows[0].nbytes for rows in self._rows.values())

    def add(
        self, before: Tensor, after: Tensor, code: Tensor, reward: float, *, terminal: bool, begins: bool,
        elapsed: float = 1.0,
    ) -> None:  # fmt: skip
        """Takes one transition.

        Args:
            begins: it does not go on from the one before it.
            elapsed: its duration in nominal steps.
        """
        at = self._added % self._capacity
        values: tuple[Tensor | float, ...] = (before, after, code, reward, float(terminal), elapsed)
        for rows, value in zip(self._rows.values(), values):
            rows[at] = value
        self._begins[at] = begins
        self._added += 1

    def starts(self, length: int) -> Tensor:
        """Returns the ages, 0 for the oldest, of rows from which a window of `length` steps goes on unbroken."""
        count = len(self) - length + 1
        begins = self._begins[self._at(torch.arange(len(self)))]
        whole = torch.ones(max(count, 0), dtype=torch.bool)
        for offset in range(1, length):
            whole &= ~begins[offset : offset + max(count, 0)]
        return whole.nonzero()[:, 0]

    def windows(self, starts: Tensor, count: int, length: int, generator: np.random.Generator) -> Window:
        """Draws `count` windows, with replacement.

        Args:
            starts: of `starts`, at least one.
        """
        chosen = starts[torch.from_numpy(generator.integers(len(starts), size=count))]
        at = self._at(chosen[:, None] + torch.arange(length))  # (W, L)
        return Window(*(rows[at] for rows in self._rows.values()))

    def all(self) -> tuple[Tensor, Tensor]:
        """Returns the states before and after, (N, S) each, oldest first."""
        at = self._at(torch.arange(len(self)))
        return self._rows['before'][at], self._rows['after'][at]

    def _at(self, ages: Tensor) -> Tensor:
        return (ages + max(self._added - self._capacity, 0)) % self._capacity

    def state(self) -> State:
        """Returns all transitions, oldest first."""
        at = self._at(torch.arange(len(self)))
        return {name: rows[at] for name, rows in self._rows.items()} | {'begins': self._begins[at]}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes them back."""
        self._added = len(state['begins'])
        for name, rows in self._rows.items():
            rows[: self._added] = state[name]
        self._begins[: self._added] = state['begins']
