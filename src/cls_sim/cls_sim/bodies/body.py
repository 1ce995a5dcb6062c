"""The contract between a robot's pace (when things happen) and its body (what happens)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cls_common.robot import RobotInfo

from ..noise import Image

AT_REST = float('inf')  # elapsed time at which every motion has ended


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an action does.

    Attributes:
        applied: float32 (A,), robot units, after limits.
        duration: s from the motion's start to its end; 0 where the robot does not say.
        reward: NaN where there is none.
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
    # Width and height of what the camera sees, degrees; None where that has no meaning.
    view_deg: tuple[float, float] | None = None

    @abstractmethod
    def reset(self) -> None:
        """Begins an episode. The n-th call on a body of one seed always begins the same one."""

    @abstractmethod
    def act(self, values: NDArray[np.float32], stuck_joint: int = -1) -> Outcome:
        """Starts an action, finite float32 (A,) in robot units; the one before must be at rest.

        Args:
            stuck_joint: index of a joint that does not move in this action; -1: all move.
        """

    @abstractmethod
    def halt(self, elapsed: float) -> NDArray[np.float32]:
        """Stops at once; returns what was applied until now, float32 (A,)."""

    @abstractmethod
    def joints(self, elapsed: float = AT_REST) -> NDArray[np.float64]:
        """Returns joint angles, rad (J,)."""

    @abstractmethod
    def image(self, elapsed: float, seconds: float, frame: int) -> Image | None:
        """Returns what the camera sees, uint8 (224, 224, 3) RGB, or None where there is no camera.

        Args:
            seconds: time of the world, from 0.
            frame: number of this image, from 0.
        """

    @abstractmethod
    def observations(self) -> dict[str, NDArray[np.float32]]:
        """Returns the other senses: modality -> float32 vector."""

    @abstractmethod
    def close(self) -> None:
        """Frees what the environment holds."""
