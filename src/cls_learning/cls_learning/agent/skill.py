"""Skill: how much better than "nothing changes" the model predicts, scored before it learns."""

from collections import deque


class SkillWindow:
    """1 - sum of errors / sum of the errors of copying z, over the last steps, raw units."""

    def __init__(self, length: int = 200) -> None:
        self._errors: deque[tuple[float, float]] = deque(maxlen=length)

    def add(self, error: float, copy_error: float) -> None:
        """Takes one step's mean squared errors."""
        self._errors.append((error, copy_error))

    def value(self) -> float:
        """Returns the skill, at most 1; NaN where nothing changed yet."""
        copied = sum(copy for _, copy in self._errors)
        return 1.0 - sum(error for error, _ in self._errors) / copied if copied > 0 else float('nan')
