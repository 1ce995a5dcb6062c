"""Scaling of actions for the networks: to [-1, 1], or raw in robot units as in the original system."""

import torch
from torch import Tensor

from cls_common.robot import RobotInfo


class ActionCode:
    """Converts actions in robot units, and those of a policy in [-1, 1], to network inputs.

    Attributes:
        size: length of an action, A.
    """

    def __init__(self, robot: RobotInfo, scaling: str, device: str = 'cpu') -> None:
        self.size = len(robot.channels)
        low, high = torch.from_numpy(robot.low).to(device), torch.from_numpy(robot.high).to(device)
        self._middle = (low + high) / 2
        half = (high - low) / 2
        # A channel without a range carries no information and enters as 0.
        self._half = torch.where(half > 0, half, torch.ones_like(half))
        self._carries = (half > 0).float()
        self._is_raw = scaling == 'raw'

    def to_input(self, action: Tensor) -> Tensor:
        """Returns network inputs float32 (..., A) from actions (..., A) in robot units."""
        return action if self._is_raw else (action - self._middle) / self._half * self._carries

    def from_unit(self, unit: Tensor) -> Tensor:
        """Returns network inputs float32 (..., A) from actions (..., A) in [-1, 1], with gradient."""
        return unit * self._half + self._middle if self._is_raw else unit
