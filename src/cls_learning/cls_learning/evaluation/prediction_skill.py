"""Prediction skill relative to copying z, scored before the model learns from each step."""

import numpy as np


class PredictionSkill:
    """1 - sum of errors / sum of errors of copying z, over the last `length` steps, raw units."""

    def __init__(self, length: int = 200) -> None:
        self._errors = np.zeros((length, 2))
        self._count = 0

    def add(self, error: float, copy_error: float) -> None:
        """Adds the mean squared errors of one step: of the prediction, and of copying z."""
        self._errors[self._count % len(self._errors)] = error, copy_error
        self._count += 1

    def value(self) -> float:
        """Returns the skill, at most 1; NaN while z has not changed."""
        error, copied = self._errors.sum(axis=0)
        return float(1.0 - error / copied) if copied > 0 else float('nan')
