"""Contract of a simulated robot's body: motion and observations. Timing is in `pace.py`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cls_common.robot import RobotInfo

from ..noise import Image

AT_REST = float('inf')  # elapsed time at which every motion has ended


@dataclass(frozen=True, eq=False)
class ActionEffect:
    """Effect of an action.

    Attributes:
        applied: float32 (A,), robot units, after limits.
        duration: s from the motion's start to its end; 0 if unknown.
        reward: NaN without one.
        terminal, truncated: the episode ended by its own rules, or was cut.
    """

    applied: NDArray[np.float32]
    duration: float = 0.0
    reward: float = float('nan')
    terminal: bool = False
    truncated: bool = False


class Body(ABC):
    """One robot's body. Times are s since the last action's start; AT_REST is after its end."""

    info: RobotInfo
    # Horizontal and vertical field of view, degrees; None if undefined.
    view_deg: tuple[float, float] | None = None
    # Return of an episode from which its task counts as solved; None if undefined.
    reward_threshold: float | None = None

    @abstractmethod
    def reset(self) -> None:
        """Begins an episode. The n-th episode is determined by the seed."""

    @abstractmethod
    def act(self, values: NDArray[np.float32], stuck_joint: int = -1, seconds: float = 0.0) -> ActionEffect:
        """Starts an action, finite float32 (A,) in robot units; the one before must be at rest.

        Args:
            stuck_joint: index of a joint that does not move in this action; -1: all move.
            seconds: time of the world, from 0.
        """

    @abstractmethod
    def halt(self, elapsed: float) -> NDArray[np.float32]:
        """Stops at once; returns the action applied until now, float32 (A,)."""

    @abstractmethod
    def joints(self, elapsed: float = AT_REST) -> NDArray[np.float64]:
        """Returns joint angles, rad (J,)."""

    @abstractmethod
    def image(self, elapsed: float, seconds: float, frame: int) -> Image | None:
        """Returns the camera image, uint8 (224, 224, 3) RGB, or None without a camera.

        Args:
            seconds: time of the world, from 0.
            frame: number of this image, from 0.
        """

    @abstractmethod
    def observations(self) -> dict[str, NDArray[np.float32]]:
        """Returns the other observations: modality -> float32 vector."""

    @abstractmethod
    def close(self) -> None:
        """Frees the resources of the environment."""
