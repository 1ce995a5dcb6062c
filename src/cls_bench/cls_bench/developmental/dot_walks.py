"""Walks of the dot on which predictions are tested, and walks as its robot makes them to learn from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cls_sim.worlds.pan_tilt import SIDE
from cls_sim.worlds.toroidal_dot import advance, held_out_rows, render, start_rows, ToroidalDotSettings

Integers = NDArray[np.int64]
# The dot starts in every third row; the others are unseen. All places within a patch of 16 pixels are seen.
DOT: Final = ToroidalDotSettings(row_step=3)


@dataclass(frozen=True)
class Walks:
    """B walks of T pictures with the actions between them; pictures are drawn when they are asked for.

    Attributes:
        columns: int64 (B, T). rows: int64 (B,). actions: int64 (B, T - 1), 0 stay or 1 right.
    """

    columns: Integers
    rows: Integers
    actions: Integers
    radius: int

    def __len__(self) -> int:
        return len(self.rows)

    def pictures(self, step: int) -> NDArray[np.float32]:
        """Returns the pictures of one step, float32 (B, H, W, 3), 0 or 1."""
        return np.asarray(self.frames(step) / np.float32(255), np.float32)

    def frames(self, step: int) -> NDArray[np.uint8]:
        """Returns the pictures of one step as a camera gives them, uint8 (B, H, W, 3)."""
        return render(self.columns[:, step], self.rows, self.radius)

    def batches(self, size: int) -> Iterator['Walks']:
        """Yields them in parts."""
        for at in range(0, len(self), size):
            part = slice(at, at + size)
            yield Walks(self.columns[part], self.rows[part], self.actions[part], self.radius)


def evaluation_walks(count: int, context: int, steps: int, generator: np.random.Generator, *, unseen: bool) -> Walks:
    """Returns walks of random actions from random places; the first predicted action is as often each of the two.

    Args:
        context: pictures before the first prediction. steps: predicted.
        unseen: in rows in which no episode starts, instead of those in which episodes start.
    """
    actions = generator.integers(2, size=(count, context - 1 + steps))
    actions[:, context - 1] = np.arange(count) % 2
    return _walks(held_out_rows(DOT) if unseen else start_rows(DOT), actions, generator)


def learning_walks(episodes: int, generator: np.random.Generator) -> Walks:
    """Returns episodes of random actions that start in the rows of the robot, as long as its episodes are."""
    return _walks(start_rows(DOT), generator.integers(2, size=(episodes, DOT.episode)), generator)


def _walks(rows: Integers, actions: Integers, generator: np.random.Generator) -> Walks:
    start = generator.integers(SIDE, size=(len(actions), 1))
    moves = np.cumsum(np.pad(actions, ((0, 0), (1, 0))), 1)
    return Walks(advance(start, moves, DOT.move), generator.choice(rows, len(actions)), actions, DOT.radius)
