"""Skill: how much better than "nothing changes" the model predicts, scored before it learns."""

import numpy as np


class PredictionSkill:
    """1 - sum of errors / sum of the errors of copying z, over the last steps, raw units."""

    def __init__(self, length: int = 200) -> None:
        self._errors = np.zeros((length, 2))
        self._count = 0

    def add(self, error: float, copy_error: float) -> None:
        """Takes one step's mean squared errors."""
        self._errors[self._count % len(self._errors)] = error, copy_error
        self._count += 1

    def value(self) -> float:
        """Returns the skill, at most 1; NaN where nothing changed yet."""
        error, copied = self._errors.sum(axis=0)
        return float(1.0 - error / copied) if copied > 0 else float('nan')
