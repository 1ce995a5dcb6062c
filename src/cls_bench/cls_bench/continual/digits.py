"""Streams of tasks made of scikit-learn's hand-written digits, which are part of that package (1,797 of 8 x 8 pixels).

NumPy and scikit-learn only: Avalanche learns the same streams in an environment of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PIXELS: Final = 64
CLASSES: Final = 10
_TRAINING = 1300
_TASKS_PERMUTED = 10
_CLASSES_PER_TASK = 2
_BRIGHTEST = 16.0

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class DigitTask:
    """One task: images float32 (N, 64) from 0 to 1 and labels int64 (N,), for training and for testing.

    Attributes:
        classes: that occur in it.
    """

    train_x: Images
    train_y: Labels
    test_x: Images
    test_y: Labels
    classes: tuple[int, ...]


@dataclass(frozen=True)
class DigitStream:
    """Tasks in the order in which they are learned.

    Attributes:
        is_told: whether the task of a test image is known, so that only its classes can be the answer.
    """

    tasks: tuple[DigitTask, ...]
    is_told: bool = False


def permuted(seed: int) -> DigitStream:
    """Returns ten tasks of all digits, each with the pixels in another order (domain-incremental)."""
    train, test = _split(seed)
    orders = [np.random.default_rng([seed, 1, i]).permutation(PIXELS) for i in range(_TASKS_PERMUTED)]
    classes = tuple(range(CLASSES))
    return DigitStream(
        tuple(DigitTask(train[0][:, order], train[1], test[0][:, order], test[1], classes) for order in orders)
    )


def split(seed: int) -> DigitStream:
    """Returns five tasks of two digits each, classified among all ten at the end (class-incremental)."""
    train, test = _split(seed)
    order = np.random.default_rng([seed, 2]).permutation(CLASSES).reshape(-1, _CLASSES_PER_TASK)
    return DigitStream(tuple(_of_classes(train, test, tuple(sorted(map(int, classes)))) for classes in order))


def split_told(seed: int) -> DigitStream:
    """Returns the tasks of `split`, where the task of a test image is known (task-incremental)."""
    return DigitStream(split(seed).tasks, is_told=True)


STREAMS: Final[dict[str, Callable[[int], DigitStream]]] = {
    'permuted_digits': permuted,
    'split_digits': split,
    'split_digits_told': split_told,
}


def _split(seed: int) -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Returns images and labels of the 1,300 training and of the 497 test digits of a seed."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng([seed, 0]).permutation(len(x))
    x, y = (x[order] / _BRIGHTEST).astype(np.float32), y[order].astype(np.int64)
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])


def _of_classes(train: tuple[Images, Labels], test: tuple[Images, Labels], classes: tuple[int, ...]) -> DigitTask:
    (train_x, train_y), (test_x, test_y) = train, test
    learned, tested = np.isin(train_y, classes), np.isin(test_y, classes)
    return DigitTask(train_x[learned], train_y[learned], test_x[tested], test_y[tested], classes)
