"""How actions enter the networks: in [-1, 1], or raw in the robot's units as the reference does."""

import torch
from torch import Tensor

from cls_common.robot import RobotInfo


class ActionCode:
    """Turns actions in robot units into network inputs, and back from the policy's [-1, 1].

    Attributes:
        size: numbers in an action, A.
    """

    def __init__(self, robot: RobotInfo, scaling: str, device: str = 'cpu') -> None:
        self.size = len(robot.channels)
        low, high = torch.from_numpy(robot.low).to(device), torch.from_numpy(robot.high).to(device)
        self._middle = (low + high) / 2
        half = (high - low) / 2
        # A channel of no width carries nothing: it enters as 0 whatever it says.
        self._half = torch.where(half > 0, half, torch.ones_like(half))
        self._carries = (half > 0).float()
        self._is_raw = scaling == 'raw'

    def to_input(self, action: Tensor) -> Tensor:
        """Returns (..., A) network inputs from actions in robot units."""
        return action if self._is_raw else (action - self._middle) / self._half * self._carries

    def from_unit(self, unit: Tensor) -> Tensor:
        """Returns (..., A) network inputs from actions in [-1, 1], with gradient."""
        return unit * self._half + self._middle if self._is_raw else unit
