"""Rules by which the far scale is used: by its errors on held-out windows, or as in the original system.

Shapes: B windows, T actions of length A, N tokens of width D, H x W picture.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor

from .macro import TwoScales

# The original system: first lookahead, actions of it for each level, and the error above which it shrinks.
_FIRST: Final = 1
_PER_LEVEL: Final = 5
_LARGE: Final = 0.5


class RolloutErrors(NamedTuple):
    """Mean squared errors of tokens at the end of held-out windows.

    Attributes:
        far, near: of the rollout at each scale. copy: of the tokens at the start.
    """

    far: float
    near: float
    copy: float


@torch.inference_mode()
def rollout_errors(model: TwoScales, before: Tensor, actions: Tensor, after: Tensor) -> RolloutErrors:
    """Returns the errors of both scales.

    Args:
        before, after: float32 (B, 3, H, W), pictures at the ends of windows. actions: float32 (B, T, A), all between;
            T is a multiple of the span of a chunk.
    """
    start, end = model.encode(before), model.encode(after)
    predicted = (model.far_rollout(start, actions), model.near_rollout(start, actions), start)
    return RolloutErrors(*(float((tokens - end).square().mean()) for tokens in predicted))


class LevelRule:
    """Level 2 appears when its rollout beats copying and the near rollout by a margin, and goes when it beats neither.

    Between the two it stays as it is, so that it does not flicker.

    Attributes:
        level: 1 or 2.

    Args:
        margin: share by which the far error must be smaller than both others, 0 <= margin < 1.
    """

    def __init__(self, margin: float = 0.1) -> None:
        self._margin = margin
        self.level = 1

    def update(self, errors: RolloutErrors) -> int:
        """Takes new errors and returns the level."""
        rival = min(errors.near, errors.copy)
        # An error that is not a number is neither.
        if errors.far < (1 - self._margin) * rival:
            self.level = 2
        elif not errors.far < rival:
            self.level = 1
        return self.level


class ReferenceLevelRule:
    """The rule of the original system: level = min(lookahead // 5, levels), where level 0 takes single actions.

    There it was a placeholder: nothing called it, nothing wrote the error that it reads, and nothing let lookahead
    grow. Here lookahead grows by one action with each error up to 0.5, and shrinks by one with each that is larger.

    Attributes:
        lookahead: actions, 1 to 5 x levels.

    Args:
        levels: above the lowest, >= 0.
    """

    def __init__(self, levels: int = 1) -> None:
        self._levels = levels
        self.lookahead = _FIRST

    @property
    def level(self) -> int:
        """0 to `levels`."""
        return min(self.lookahead // _PER_LEVEL, self._levels)

    def update(self, error: float) -> int:
        """Takes the error of the newest prediction and returns the level; one that is not a number counts as large."""
        change = 1 if error <= _LARGE else -1
        self.lookahead = min(max(self.lookahead + change, _FIRST), max(_PER_LEVEL * self._levels, _FIRST))
        return self.level
