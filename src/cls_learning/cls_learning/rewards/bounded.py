"""Amounts without a limit, as shares of what is usual."""

from collections.abc import Mapping
import math

import torch
from torch import Tensor

from cls_common.transition import Doubles


class Bounded:
    """Maps amounts of 0 or more to [0, 1]: amount / (amount + usual), 0.5 for what is usual.

    Usual is the running mean of what was lived: of everything at first, later of about the last `MEMORY` steps.
    """

    MEMORY = 200

    def __init__(self, name: str) -> None:
        """Args: name: of the reward it belongs to."""
        self._name = name
        self._count, self._usual = 0, 0.0

    def live(self, amount: float) -> float:
        """Returns what one lived amount is worth, then takes it in; what is not finite teaches nothing."""
        worth = float(self.share(torch.tensor(amount)))
        if math.isfinite(amount):
            self._count += 1
            self._usual += (amount - self._usual) / min(self._count, self.MEMORY)
        return worth

    def share(self, amounts: Tensor) -> Tensor:
        """Returns amounts (...) as float64 in [0, 1]; before anything was lived 0.5, for NaN 0."""
        if not self._count:
            return torch.full_like(amounts, 0.5, dtype=torch.float64)
        usual = max(self._usual, 1e-12)
        return (1.0 - usual / (amounts.double().clamp_min(0.0) + usual)).nan_to_num(0.0)

    def rescale(self, factor: float) -> None:
        """Goes on with amounts in other units: new ones are `factor` times the old ones."""
        self._usual *= factor

    def state(self) -> dict[str, Tensor]:
        """Returns both numbers."""
        return {f'policy.{self._name}.usual': torch.tensor([self._count, self._usual], dtype=torch.float64)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes both back."""
        count, self._usual = state[f'policy.{self._name}.usual'].tolist()
        self._count = int(count)


def to_doubles(shares: Tensor) -> Doubles:
    """Returns shares (C, H) for a policy."""
    found: Doubles = shares.double().numpy()
    return found
