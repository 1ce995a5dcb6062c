"""Measures of predicted pictures of one small object on a torus.

The squared error of a picture that is nearly black everywhere says little: black itself has a small one, and half a dot
at both places, which ignores the action, half of that. So errors are shares of the variance of the targets (R2), and
they are compared between the true action and the other one, and with where the object is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from cls_learning.randomness import stream
from cls_sim.worlds.toroidal_dot import advance, RIGHT, STAY

from .dot_walks import DOT, evaluation_walks, Walks

HORIZONS: Final = (1, 3, 10)
# Walks that are predicted at once.
_BATCH: Final = 16
# Brightness from which a picture has an object.
_VISIBLE: Final = 0.1
Floats = NDArray[np.float32]


class PicturePredictor(Protocol):
    """Predicts pictures of the dot open loop."""

    @property
    def context(self) -> int:
        """Pictures that it is given, C."""

    def rollout(self, walks: Walks, actions: NDArray[np.int64]) -> Floats:
        """Returns the K pictures after the last that is given, float32 (B, K, H, W, 3) in 0..1.

        Args:
            walks: of which the first C pictures are given.
            actions: int64 (B, C - 1 + K), those between the given pictures, then those whose outcome is predicted.
        """


@dataclass
class Squares:
    """Sums from which R2 is computed: of squared errors, and of the targets, their squares and their number."""

    error: float = 0.0
    total: float = 0.0
    square: float = 0.0
    count: int = 0

    def add(self, predicted: Floats, target: Floats) -> None:
        """Adds pictures of one shape."""
        self.error += float(np.square(predicted - target).sum(dtype=np.float64))
        self.total += float(target.sum(dtype=np.float64))
        self.square += float(np.square(target).sum(dtype=np.float64))
        self.count += target.size

    @property
    def r2(self) -> float:
        """1 - squared error / variance of the targets, both over all pixels of all pictures."""
        variance = self.square / self.count - (self.total / self.count) ** 2
        return 1.0 - self.error / self.count / variance


def score(predictor: PicturePredictor, walks: Walks) -> dict[str, Any]:
    """Predicts each walk once with its actions, and its first step with the other action too.

    Returns:
        r2 of one step, r2_moved of those in which the dot moves, r2_at by steps ahead, r2_gap between true and other
        action, nearest_action, the share of walks in which the prediction for the true action is the nearest to the
        outcome (equal ones count half), object_error_px, the mean distance of the object from its place, None where no
        prediction has one, and object_found, the share of predictions that have one.
    """
    at = {k: Squares() for k in HORIZONS}
    moved, other = Squares(), Squares()
    nearest: list[float] = []
    distances: list[float | None] = []
    for batch in walks.batches(_BATCH):
        step = predictor.context - 1
        predicted = predictor.rollout(batch, batch.actions)
        for k in HORIZONS:
            at[k].add(predicted[:, k - 1], batch.pictures(step + k))
        target = batch.pictures(step + 1)
        swapped = batch.actions[:, : step + 1].copy()
        swapped[:, step] = STAY + RIGHT - swapped[:, step]
        wrong = predictor.rollout(batch, swapped)[:, 0]
        other.add(wrong, target)
        moves = batch.actions[:, step] == RIGHT
        if moves.any():
            moved.add(predicted[moves, 0], target[moves])
        errors = [np.square(each - target).mean((1, 2, 3), dtype=np.float64) for each in (predicted[:, 0], wrong)]
        nearest += list((errors[0] < errors[1]) + 0.5 * (errors[0] == errors[1]))
        places = zip(batch.columns[:, step + 1], batch.rows)
        distances += [distance(object_place(each), place) for each, place in zip(predicted[:, 0], places)]
    found = [each for each in distances if each is not None]
    return {
        'r2': at[1].r2,
        'r2_moved': moved.r2,
        'r2_at': {str(k): squares.r2 for k, squares in at.items()},
        'r2_gap': at[1].r2 - other.r2,
        'nearest_action': float(np.mean(nearest)),
        'object_error_px': float(np.mean(found)) if found else None,
        'object_found': len(found) / len(distances),
    }


def object_place(picture: Floats) -> tuple[float, float] | None:
    """Returns column and row of the object, the centroid of what is connected to the brightest pixel.

    Connected are pixels with half of its brightness, also across the edges.

    Args:
        picture: float32 (H, W, 3).

    Returns:
        pixels; None where nothing is visible.
    """
    grey = picture.mean(-1)
    row, column = np.unravel_index(int(grey.argmax()), grey.shape)
    if grey[row, column] < _VISIBLE:
        return None
    # The brightest pixel in the middle, so that its object does not reach an edge.
    middle = np.array(grey.shape) // 2
    shift = middle - (row, column)
    centred = np.roll(grey, tuple(shift), (0, 1))
    labels, _ = ndimage.label(centred >= grey[row, column] / 2)
    y, x = ndimage.center_of_mass(centred, labels, labels[tuple(middle)]) - shift
    return float(x), float(y)


def distance(place: tuple[float, float] | None, true: Sequence[float], side: int = 224) -> float | None:
    """Returns the distance of two places on the torus, pixels; None without a place."""
    if place is None:
        return None
    apart = (np.subtract(place, true) + side / 2) % side - side / 2
    return float(np.hypot(*apart))


@dataclass(frozen=True)
class Exact:
    """A prediction that needs no learning.

    Attributes:
        name: 'black'; 'copy', the last picture; 'blind', the mean of all outcomes of random actions.
    """

    name: str
    context: int = 1

    def rollout(self, walks: Walks, actions: NDArray[np.int64]) -> Floats:
        """See PicturePredictor."""
        steps = actions.shape[1] - self.context + 1
        last = walks.pictures(self.context - 1)
        if self.name == 'blind':
            # Of the picture itself and of the one moved by an action, again and again.
            found = [last]
            for _ in range(steps):
                moved = np.roll(found[-1], int(advance(0, RIGHT, DOT.move)), 2)
                found.append(np.asarray((found[-1] + moved) / 2, np.float32))
            return np.stack(found[1:], 1)
        repeated = np.repeat(last[:, None], steps, 1)
        return repeated if self.name == 'copy' else np.zeros_like(repeated)


def measures(predictor: PicturePredictor, count: int, seed: int) -> dict[str, Any]:
    """Returns the score on walks of unseen rows; `r2_unseen` beside it is `r2`, which is then that of seen rows.

    Args:
        count: walks. seed: of the walks.
    """
    tests = stream(seed, 'developmental.tests', 0)
    found = score(predictor, evaluation_walks(count, predictor.context, max(HORIZONS), tests, unseen=True))
    return {**found, 'r2_unseen': found['r2'], 'r2': one_step_r2(predictor, count, seed, unseen=False)}


def one_step_r2(predictor: PicturePredictor, count: int, seed: int, *, unseen: bool) -> float:
    """Returns the R2 of one step on walks of unseen or of seen rows."""
    walks = evaluation_walks(count, predictor.context, 1, stream(seed, 'developmental.steps', unseen), unseen=unseen)
    squares = Squares()
    for batch in walks.batches(_BATCH):
        squares.add(predictor.rollout(batch, batch.actions)[:, 0], batch.pictures(predictor.context))
    return squares.r2
