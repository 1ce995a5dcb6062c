"""What the accuracy matrix says: R[i][j] is the skill in scene j after the stage of scene i, both in order of life."""

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def average(matrix: Matrix) -> float:
    """Mean skill over all scenes at the end."""
    return sum(matrix[-1]) / len(matrix[-1])


def own(matrix: Matrix) -> float:
    """Mean skill in each scene when its own stage ended."""
    return sum(row[i] for i, row in enumerate(matrix)) / len(matrix)


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all scenes but the last of (best at any stage end from its own on - at the end).

    Biased upwards by noise and never below 0; None with a single scene.
    """
    last = len(matrix) - 1
    losses = [max(matrix[i][j] for i in range(j, last + 1)) - matrix[last][j] for j in range(last)]
    return sum(losses) / last if last else None


def backward_transfer(matrix: Matrix) -> float | None:
    """Mean over all scenes but the last of (at the end - at the end of its own stage); its sign is honest."""
    last = len(matrix) - 1
    return sum(matrix[last][j] - matrix[j][j] for j in range(last)) / last if last else None


def forward_transfer(matrix: Matrix) -> float | None:
    """Mean over all scenes but the first of the skill just before it begins; copying, which is 0, is the baseline."""
    last = len(matrix) - 1
    return sum(matrix[j - 1][j] for j in range(1, last + 1)) / last if last else None
