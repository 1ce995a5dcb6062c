"""Scales unbounded amounts, such as errors, to [0, 1] by their running mean."""

from collections.abc import Mapping
import math

import torch
from torch import Tensor

from cls_common.transition import Doubles


class RunningNormalizer:
    """Maps amounts of 0 or more to [0, 1] by amount / (amount + running mean): the mean itself maps to 0.5.

    The running mean is that of all amounts at first, later of about the last `MEMORY`.
    """

    MEMORY = 200

    def __init__(self, name: str) -> None:
        """Args: name: of the reward, in its state."""
        self._name = name
        self._count, self._mean = 0, 0.0

    def observe(self, amount: float) -> float:
        """Returns a scaled amount in [0, 1], then updates the mean with it; an amount that is not finite does not."""
        share = float(self.share(torch.tensor(amount)))
        if math.isfinite(amount):
            self._count += 1
            self._mean += (amount - self._mean) / min(self._count, self.MEMORY)
        return share

    def share(self, amounts: Tensor) -> Tensor:
        """Returns scaled amounts, float64 (...) in [0, 1]: 0.5 before the first observation, 0 for NaN."""
        if not self._count:
            return torch.full_like(amounts, 0.5, dtype=torch.float64)
        mean = max(self._mean, 1e-12)
        return (1.0 - mean / (amounts.double().clamp_min(0.0) + mean)).nan_to_num(0.0)

    def rescale(self, factor: float) -> None:
        """Converts the mean to other units: new amounts are `factor` times the old ones."""
        self._mean *= factor

    def state(self) -> dict[str, Tensor]:
        """Returns count and mean, float64 (2,)."""
        return {f'policy.{self._name}.usual': torch.tensor([self._count, self._mean], dtype=torch.float64)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores count and mean."""
        count, self._mean = state[f'policy.{self._name}.usual'].tolist()
        self._count = int(count)


def to_doubles(scores: Tensor) -> Doubles:
    """Returns scores (C, H) as a float64 array."""
    found: Doubles = scores.double().numpy()
    return found
