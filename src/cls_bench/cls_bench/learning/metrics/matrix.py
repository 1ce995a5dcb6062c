"""Continual-learning metrics of the accuracy matrix R (Lopez-Paz and Ranzato 2017).

R[i][j] is the skill in scene j after learning in scene i, both in the order of the stream.
"""

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def average(matrix: Matrix) -> float:
    """Mean skill over all scenes at the end."""
    return sum(matrix[-1]) / len(matrix[-1])


def own(matrix: Matrix) -> float:
    """Mean skill in each scene right after learning in it."""
    return sum(row[i] for i, row in enumerate(matrix)) / len(matrix)


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all scenes but the last of (best skill after its own or any later scene - final skill).

    Biased upwards by noise and never below 0; None with a single scene.
    """
    last = len(matrix) - 1
    losses = [max(matrix[i][j] for i in range(j, last + 1)) - matrix[last][j] for j in range(last)]
    return sum(losses) / last if last else None


def backward_transfer(matrix: Matrix) -> float | None:
    """Mean over all scenes but the last of (final skill - skill right after the scene); unbiased, may be negative."""
    last = len(matrix) - 1
    return sum(matrix[last][j] - matrix[j][j] for j in range(last)) / last if last else None


def forward_transfer(matrix: Matrix) -> float | None:
    """Mean over all scenes but the first of the skill right before the scene; copying has 0."""
    last = len(matrix) - 1
    return sum(matrix[j - 1][j] for j in range(1, last + 1)) / last if last else None
