"""A square whose position is linear in the joints, as in the simulator of the original visual-motor system."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..noise import Image, NoiseBank
from .pan_tilt import LIMITS_DEG, PanTiltEnv, Pose, SIDE

COLOUR = (200, 80, 80)
WIDTH = 30  # pixels
FIRST, LAST = 20, 204  # pixel of the centre at the lower and upper joint limit
NOISE_BELOW = 15  # noise is 0..14
_NOISE_STREAM = 1


class SquareEnv(PanTiltEnv):
    """A square on black with uniform noise. Args: `seed` of the noise; others as in PanTiltEnv."""

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._noise = NoiseBank.uniform(SIDE * SIDE * 3, NOISE_BELOW, seed, _NOISE_STREAM)

    def target_offset(self, pose_deg: Pose, seconds: float) -> NDArray[np.float64]:
        """See PanTiltEnv: the square."""
        return np.asarray(pose_deg / LIMITS_DEG * (LAST - FIRST) / SIDE)

    def view(self, pose_deg: Pose, seconds: float, frame: int) -> Image:
        """See PanTiltEnv; independent of time."""
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        centre = FIRST + (pose_deg + LIMITS_DEG) / (2 * LIMITS_DEG) * (LAST - FIRST)
        left, top = centre.astype(int) - WIDTH // 2
        image[top : top + WIDTH, left : left + WIDTH] = COLOUR
        return self._noise.add(image, frame)
