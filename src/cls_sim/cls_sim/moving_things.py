"""Objects that move in a room, each on a path that is a function of time only."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Image


class MovingThings:
    """Discs that oscillate across the room, drawn into the view.

    Args:
        count: how many.
        generator: draws paths, sizes and colours.
        reach_deg: (pan, tilt), degrees from the middle, range of the paths.
    """

    def __init__(self, count: int, generator: np.random.Generator, reach_deg: tuple[float, float]) -> None:
        self._middle = generator.uniform(-0.7, 0.7, (count, 2)) * reach_deg
        self._swing = generator.uniform(0.1, 0.4, (count, 2)) * reach_deg
        self._speed = generator.uniform(0.15, 1.2, (count, 2))  # rad/s: one swing in 5 to 40 s
        self._phase = generator.uniform(0, 2 * np.pi, (count, 2))
        self._size_deg = generator.uniform(3, 9, count)
        self._colours = generator.integers(0, 256, (count, 3))

    def positions_deg(self, seconds: float) -> NDArray[np.float64]:
        """Returns their positions at a time, degrees (count, 2): pan to the left, tilt up."""
        return np.asarray(self._middle + self._swing * np.sin(self._speed * seconds + self._phase))

    def draw(self, image: Image, pose_deg: NDArray[np.float64], view_deg: tuple[float, float], seconds: float) -> None:
        """Draws them into `image`, uint8 (H, W, 3), `view_deg` (width, height) seen from `pose_deg`."""
        height, width, _ = image.shape
        per_degree = np.array([width, height]) / view_deg
        at = np.array([width, height]) / 2 - (self.positions_deg(seconds) - pose_deg) * per_degree
        for centre, size, colour in zip(at, self._size_deg, self._colours):
            axes = size / 2 * per_degree
            if (centre + axes < 0).any() or (centre - axes > (width, height)).any():
                continue
            fixed = [tuple(int(v) for v in np.rint(pair * 16)) for pair in (centre, axes)]
            paint = tuple(int(c) for c in colour)
            cv2.ellipse(image, fixed[0], fixed[1], 0, 0, 360, paint, -1, cv2.LINE_AA, 4)


class Target(MovingThings):
    """One large disc of a striking colour; its path stays where the camera can have it in the middle of its view.

    Args:
        generator: draws the path.
        limits_deg: (pan, tilt), degrees, limits of the camera's pose.
    """

    _SIZE_DEG, _COLOUR = 14.0, (255, 0, 170)

    def __init__(self, generator: np.random.Generator, limits_deg: NDArray[np.float64]) -> None:
        super().__init__(1, generator, (0.75 * limits_deg[0], 0.75 * limits_deg[1]))
        self._size_deg, self._colours = np.array([self._SIZE_DEG]), np.array([self._COLOUR])


class Fan:
    """A fan at a fixed place of the room that rotates continuously.

    Args:
        size_deg: diameter; 0: there is none.
        turns_per_second: its speed.
        generator: draws its position.
        reach_deg: (pan, tilt), degrees from the middle, range of the position.
    """

    _BLADES = 3
    _GUARD, _BLADE = (45, 50, 55), (225, 225, 215)

    def __init__(
        self, size_deg: float, turns_per_second: float, generator: np.random.Generator, reach_deg: tuple[float, float]
    ) -> None:
        self._size_deg, self._turns_per_second = size_deg, turns_per_second
        self._position_deg = generator.uniform(-1.0, 1.0, 2) * reach_deg

    def draw(self, image: Image, pose_deg: NDArray[np.float64], view_deg: tuple[float, float], seconds: float) -> None:
        """Draws it into `image`, as `MovingThings.draw`."""
        if not self._size_deg:
            return
        height, width, _ = image.shape
        per_degree = np.array([width, height]) / view_deg
        middle = np.array([width, height]) / 2 - (self._position_deg - pose_deg) * per_degree
        radius = self._size_deg / 2 * per_degree
        if (middle + radius < 0).any() or (middle - radius > (width, height)).any():
            return
        fixed = [tuple(int(v) for v in np.rint(pair * 16)) for pair in (middle, radius)]
        cv2.ellipse(image, fixed[0], fixed[1], 0, 0, 360, self._GUARD, -1, cv2.LINE_AA, 4)
        for blade in range(self._BLADES):
            start = 2 * np.pi * (self._turns_per_second * seconds + blade / self._BLADES)
            rim = start + np.linspace(0.0, 0.7, 8)
            around = np.stack([np.cos(rim), np.sin(rim)], axis=-1)
            outline = np.concatenate([middle[None], middle + 0.92 * radius * around])
            cv2.fillPoly(image, [np.rint(outline * 16).astype(np.int32)], self._BLADE, cv2.LINE_AA, 4)
