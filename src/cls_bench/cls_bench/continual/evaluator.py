"""Accuracy on all tasks while they are learned one after the other. NumPy only, see `digits`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cls_bench.continual.digits import DigitStream, Images, Labels
from cls_bench.learning.metrics.matrix import average, backward_transfer, forgetting, forward_transfer

# Optimiser steps from one evaluation to the next.
EVERY = 5
# Points of the stored curve for each task.
POINTS = 10
Answer = Callable[[Images, tuple[int, ...]], Labels]


class Evaluator:
    """Accuracy on the tasks so far: before the first task, after every EVERY optimiser steps and after each task.

    Args:
        answer: returns the labels int64 (N,) of images (N, 64) of a task with these classes; it must not learn.
    """

    def __init__(self, stream: DigitStream, answer: Answer) -> None:
        self._stream, self._answer = stream, answer
        self._before = self._row(len(stream.tasks))
        self._rows: list[list[float]] = []
        self._within: list[list[list[float]]] = [[] for _ in stream.tasks]
        self._steps = 0

    def step(self) -> None:
        """Called after each optimiser step."""
        self._steps += 1
        if self._steps % EVERY == 0:
            task = len(self._rows)
            self._within[task].append(self._row(task + 1))

    def end_task(self) -> None:
        """Called after each task, with all its learning."""
        self._rows.append(self._row(len(self._stream.tasks)))
        task = len(self._rows) - 1
        self._within[task].append(self._rows[-1][: task + 1])

    def metrics(self) -> dict[str, Any]:
        """Returns what `stream_metrics` says of the evaluations so far."""
        return stream_metrics(self._before, self._rows, self._within)

    def _row(self, count: int) -> list[float]:
        return [
            float(np.mean(self._answer(task.test_x, task.classes) == task.test_y))
            for task in self._stream.tasks[:count]
        ]


def stream_metrics(
    before: Sequence[float], rows: Sequence[Sequence[float]], within: Sequence[Sequence[Sequence[float]]]
) -> dict[str, Any]:
    """Returns the metrics of accuracies.

    Args:
        before: on each of T tasks before the first is learned. rows: on each of T tasks after each of T tasks.
        within: for each task, the evaluations while it was learned, the last one after it, each on the tasks so far.

    Returns:
        final: mean over tasks at the end. anytime: mean over all evaluations of the mean over the tasks so far.
        worst: mean over all tasks but the last of the lowest accuracy after they were learned (min-ACC, De Lange et
            al. 2023). dip: largest fall, over all switches, of the mean over earlier tasks while the next is learned.
        forgetting, bwt, fwt: as in Lopez-Paz and Ranzato (2017); fwt compares with `before`.
        matrix: rows. curve: the mean over the tasks so far at ten points of each task.
    """
    count = len(rows)
    later = [[each[j] for i in range(j + 1, count) for each in within[i]] for j in range(count - 1)]
    means = [[float(np.mean(each)) for each in evaluations] for evaluations in within]
    dips = [
        float(np.mean(rows[i - 1][:i])) - min(float(np.mean(each[:i])) for each in within[i]) for i in range(1, count)
    ]
    gained = [[value - first for value, first in zip(row, before)] for row in rows]
    return {
        'final': average(rows),
        'anytime': float(np.mean([value for task in means for value in task])),
        'worst': float(np.mean([min(values) for values in later])) if later else None,
        'dip': max(dips, default=None),
        'forgetting': forgetting(rows),
        'bwt': backward_transfer(rows),
        'fwt': forward_transfer(gained),
        'matrix': [list(row) for row in rows],
        'curve': [task[_at(k, len(task))] for task in means for k in range(1, POINTS + 1)],
    }


def _at(point: int, count: int) -> int:
    return max(round(point * count / POINTS), 1) - 1
