"""Uncertainty of predictions: the disagreement of members, in units of the usual error of each pixel.

Disagreement alone is largest where pictures are most detailed or noisy; divided by the error that each pixel usually
has, noise that can not be learned counts as much as anything else.
"""

import numpy as np
import torch
from torch import nn, Tensor

from .model import DevelopmentalModel, Steps

_DECAY, _SAMPLES = 0.99, 10
# Share of the mean error that is added to each pixel's.
_FLOOR = 0.01


class Uncertainty:
    """Scores actions by how little is known of their outcome.

    Attributes:
        pixel_error: running mean of the squared error of each pixel, float32 (H, W).
    """

    def __init__(self, kind: str, size: tuple[int, int]) -> None:
        self._kind = kind
        self.pixel_error = torch.zeros(size)
        self._is_empty = True

    def observe(self, predicted: Tensor, picture: Tensor) -> None:
        """Takes the error of one prediction, both (1, 3, H, W), into the running mean."""
        error = (predicted - picture).square().mean((0, 1))
        decay = 0.0 if self._is_empty else _DECAY
        self.pixel_error = decay * self.pixel_error + (1 - decay) * error
        self._is_empty = False

    def scores(self, pictures: Tensor) -> Tensor:
        """Returns the score (K,) of predictions (E, K, 3, H, W); 0 with one member."""
        spread = pictures.var(0, correction=0).mean(1)  # (K, H, W)
        error = self.pixel_error
        return (spread / (error + _FLOOR * error.mean() + 1e-8)).mean((1, 2))

    def predictions(
        self, model: DevelopmentalModel, steps: Steps, candidates: Tensor, generator: np.random.Generator
    ) -> Tensor:
        """Returns predictions (E, K, 3, H, W) by the members, or by networks with dropout (Gal and Ghahramani 2016)."""
        if self._kind == 'members':
            return model.sweep(steps, candidates)
        dropouts = [m for m in model.modules() if isinstance(m, nn.Dropout | nn.MultiheadAttention)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**31)))
            for each in dropouts:
                each.train()
            found = torch.cat([model.sweep(steps, candidates) for _ in range(_SAMPLES)])
            for each in dropouts:
                each.eval()
        return found

    def state(self) -> dict[str, Tensor]:
        """Returns the state as tensors."""
        return {'pixel_error': self.pixel_error.clone(), 'pixel_error_empty': torch.tensor(self._is_empty)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restores the state."""
        self.pixel_error, self._is_empty = state['pixel_error'].clone(), bool(state['pixel_error_empty'])
