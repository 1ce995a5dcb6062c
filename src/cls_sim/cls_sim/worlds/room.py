"""The default world: a pan-tilt camera in a textured panorama (learning-probe, section 1)."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..moving_things import MovingThings
from ..noise import generator, Image, NoiseBank
from ..panorama import generate, load
from .pan_tilt import LIMITS_DEG, PanTiltEnv, Pose, SIDE

PIXELS_PER_DEGREE = 4.0
VIEW_DEG = (60.0, 45.0)
# What can be seen from all poses together, and a pixel more on each side for interpolation.
_WIDTH, _HEIGHT = (int((2 * LIMITS_DEG[i] + VIEW_DEG[i]) * PIXELS_PER_DEGREE) + 2 for i in (0, 1))
_NOISE_STREAM, _THINGS_STREAM = 2, 3


class RoomEnv(PanTiltEnv):
    """A room to look around in.

    Args:
        scene, seed: which room; both choose it.
        panorama: path of an image that takes the generated room's place, scaled to cover 240 x 125 degrees.
        moving_things: how many things move about.
        noise_sigma: of the camera's noise, grey levels.

    Others as in PanTiltEnv.
    """

    view_deg = VIEW_DEG

    def __init__(
        self, scene: int = 0, seed: int = 0, panorama: str = '', moving_things: int = 0,
        noise_sigma: float = 2.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if panorama:
            self.panorama = load(Path(panorama).expanduser(), _WIDTH, _HEIGHT)
        else:
            draws = np.random.default_rng([seed, scene])
            self.panorama = generate(draws, _WIDTH, _HEIGHT, PIXELS_PER_DEGREE)
        reach = (LIMITS_DEG[0] + VIEW_DEG[0] / 2, LIMITS_DEG[1] + VIEW_DEG[1] / 2)
        self._things = MovingThings(moving_things, generator(seed, _THINGS_STREAM, scene), reach)
        self._noise = NoiseBank.gaussian(SIDE * SIDE * 3, noise_sigma, seed, _NOISE_STREAM)

    def view(self, pose_deg: Pose, seconds: float, frame: int) -> Image:
        """See PanTiltEnv."""
        scale = np.array(VIEW_DEG) * PIXELS_PER_DEGREE / SIDE  # panorama pixels per image pixel
        middle = np.array([_WIDTH, _HEIGHT]) / 2 - pose_deg * PIXELS_PER_DEGREE
        # Both grids count from the middle of their first pixel.
        corner = middle - scale * SIDE / 2 + scale / 2 - 0.5
        matrix = np.array([[scale[0], 0, corner[0]], [0, scale[1], corner[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = np.asarray(cv2.warpAffine(self.panorama, matrix, (SIDE, SIDE), flags=flags), np.uint8)
        self._things.draw(image, pose_deg, VIEW_DEG, seconds)
        return self._noise.add(image, frame)
