"""The default environment: a pan-tilt camera in a textured panorama."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..moving_things import Fan, MovingThings, Target
from ..noise import generator, Image, NoiseBank
from ..panorama import load
from ..sceneries import SCENERIES
from .pan_tilt import LIMITS_DEG, PanTiltEnv, Pose, SIDE

PIXELS_PER_DEGREE = 4.0
VIEW_DEG = (60.0, 45.0)
# Size of the panorama visible from all poses, with one more pixel on each side for interpolation.
_WIDTH, _HEIGHT = (int((2 * LIMITS_DEG[i] + VIEW_DEG[i]) * PIXELS_PER_DEGREE) + 2 for i in (0, 1))
_NOISE_STREAM, _THINGS_STREAM, _FAN_STREAM, _TARGET_STREAM = 2, 3, 4, 5
_FAN_REACH_DEG = (45.0, 20.0)


class RoomEnv(PanTiltEnv):
    """A room around a pan-tilt camera.

    Args:
        scene, seed: choose the room.
        scenery: kind of generated panorama, a key of SCENERIES.
        panorama: path of an image that replaces the generated room, scaled to cover 240 x 125 degrees.
        moving_things: number of moving objects.
        fan_size, fan_speed: diameter, degrees (0: none), and turns per second of a fan.
        light_drift, light_period: the light is 1 + `light_drift` * sin(2 pi t / `light_period`), s.
        change_at: s after which the generated room of `scene` + 1 is shown; 0: never.
        noise_sigma: of the camera's noise, grey levels.

    Others as in PanTiltEnv. The target is a moving disc of a striking colour.

    Attributes:
        panorama, later_panorama: uint8 (H, W, 3) RGB, shown before and after `change_at`.
    """

    view_deg = VIEW_DEG

    def __init__(
        self,
        scene: int = 0,
        seed: int = 0,
        scenery: str = 'room',
        panorama: str = '',
        moving_things: int = 0,
        fan_size: float = 0.0,
        fan_speed: float = 1.3,
        light_drift: float = 0.0,
        light_period: float = 60.0,
        change_at: float = 0.0,
        noise_sigma: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)

        def generated(number: int) -> Image:
            draws = np.random.default_rng([seed, number])
            return SCENERIES[scenery](draws, _WIDTH, _HEIGHT, PIXELS_PER_DEGREE)

        self.panorama = load(Path(panorama).expanduser(), _WIDTH, _HEIGHT) if panorama else generated(scene)
        self.later_panorama = generated(scene + 1) if change_at else self.panorama
        self._change_at = change_at
        self._light_drift, self._light_period = light_drift, light_period
        reach = (LIMITS_DEG[0] + VIEW_DEG[0] / 2, LIMITS_DEG[1] + VIEW_DEG[1] / 2)
        self._things = MovingThings(moving_things, generator(seed, _THINGS_STREAM, scene), reach)
        self._fan = Fan(fan_size, fan_speed, generator(seed, _FAN_STREAM, scene), _FAN_REACH_DEG)
        self._target = Target(generator(seed, _TARGET_STREAM, scene), LIMITS_DEG)
        self._seed = seed
        self.set_noise(noise_sigma)

    def set_noise(self, sigma: float) -> None:
        """Gives the camera normal noise of `sigma` grey levels from the next image on."""
        self._noise = NoiseBank.gaussian(SIDE * SIDE * 3, sigma, self._seed, _NOISE_STREAM)

    def target_offset(self, pose_deg: Pose, seconds: float) -> NDArray[np.float64]:
        """See PanTiltEnv."""
        return np.asarray((self._target.positions_deg(seconds)[0] - pose_deg) / (np.array(VIEW_DEG) / 2))

    def view(self, pose_deg: Pose, seconds: float, frame: int) -> Image:
        """See PanTiltEnv."""
        scale = np.array(VIEW_DEG) * PIXELS_PER_DEGREE / SIDE  # panorama pixels per image pixel
        middle = np.array([_WIDTH, _HEIGHT]) / 2 - pose_deg * PIXELS_PER_DEGREE
        # Coordinates of both images have their origin in the middle of the first pixel.
        corner = middle - scale * SIDE / 2 + scale / 2 - 0.5
        matrix = np.array([[scale[0], 0, corner[0]], [0, scale[1], corner[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        has_changed = self._change_at and seconds >= self._change_at
        panorama = self.later_panorama if has_changed else self.panorama
        image = np.asarray(cv2.warpAffine(panorama, matrix, (SIDE, SIDE), flags=flags), np.uint8)
        self._things.draw(image, pose_deg, VIEW_DEG, seconds)
        self._fan.draw(image, pose_deg, VIEW_DEG, seconds)
        if self.has_target:
            self._target.draw(image, pose_deg, VIEW_DEG, seconds)
        if self._light_drift:
            light = 1.0 + self._light_drift * np.sin(2 * np.pi * seconds / self._light_period)
            image = np.asarray(cv2.convertScaleAbs(image, alpha=float(light)), np.uint8)
        return self._noise.add(image, frame)
