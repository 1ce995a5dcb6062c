"""Generated panoramas by name. A new one is a function and a line in SCENERIES."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .noise import Image
from .panorama import add_shape, colour_noise, Field, generate, pink

# Draws from a generator; width, height in pixels; pixels per degree. Returns uint8 (height, width, 3) RGB.
Scenery = Callable[[np.random.Generator, int, int, float], Image]

_TILE_DEG = 15.0
_RIDGES = 5  # from far to near
_SKY_TOP, _SKY_LOW = np.array([70.0, 120.0, 205.0]), np.array([205.0, 220.0, 235.0])
_GROUND_FAR, _GROUND_NEAR = np.array([120.0, 135.0, 150.0]), np.array([70.0, 85.0, 40.0])


def bare(generator: np.random.Generator, width: int, height: int, pixels_per_degree: float) -> Image:
    """Makes a room with little texture: painted walls, light from above and three objects; uint8 (height, width, 3)."""
    base = generator.uniform(150, 200) + generator.uniform(-12, 12, 3)
    canvas = (base + colour_noise(generator, height, width, 2.0)).astype(np.float32)
    canvas += np.linspace(8, -8, height, dtype=np.float32)[:, None, None]
    texture = colour_noise(generator, height, width, 3.0)
    for size in generator.uniform(6, 18, 3) * pixels_per_degree:
        add_shape(canvas, texture, generator, float(size), generator.uniform(0.15, 0.85, 2) * (width, height))
    return _as_image(canvas)


def tiles(generator: np.random.Generator, width: int, height: int, pixels_per_degree: float) -> Image:
    """Makes a wall of equal tiles, a repeated pattern of 15 x 15 degrees with joints; uint8 (height, width, 3)."""
    side = round(_TILE_DEG * pixels_per_degree)
    tile = (generator.uniform(110, 170, 3) + colour_noise(generator, side, side, 22.0)).astype(np.float32)
    texture = colour_noise(generator, side, side, 10.0)
    for size in generator.uniform(0.2, 0.5, 3) * side:
        add_shape(tile, texture, generator, float(size), generator.uniform(0.3, 0.7, 2) * side)
    joint = max(side // 20, 1)
    tile[:joint] = tile[:, :joint] = generator.uniform(40, 80)
    rows, columns = -(-height // side), -(-width // side)
    return _as_image(np.tile(tile, (rows, columns, 1))[:height, :width])


def photograph(generator: np.random.Generator, width: int, height: int, pixels_per_degree: float) -> Image:
    """Makes an outdoor view: sky, ridges of hills in haze, objects on the ground; uint8 (height, width, 3).

    Unlike in a room, brightness, colour and texture differ between top and bottom, as in most photographs.
    """
    canvas = _sky(generator, width, height)
    slope = np.linspace(-1, 1, width) * generator.choice((-1.0, 1.0))
    rows = np.arange(height, dtype=np.float32)[:, None]
    for number in range(_RIDGES):
        nearness = (number + 1) / _RIDGES
        ridge = pink(generator, 1, width, 1.3)[0]
        line = height * (0.42 + 0.36 * nearness + 0.32 * (1 - 0.7 * nearness) * slope + 0.05 * ridge)
        grain = colour_noise(generator, height, width, 6.0 + 24.0 * nearness)
        colour = _GROUND_FAR + nearness * (_GROUND_NEAR - _GROUND_FAR) + generator.uniform(-15, 15, 3)
        cover = np.clip(rows - line.astype(np.float32)[None] + 0.5, 0, 1)[..., None]
        canvas += cover * (colour.astype(np.float32) + grain - canvas)
    texture = colour_noise(generator, height, width, 16.0)
    # Objects on the ground: the lower in the image, the nearer and larger.
    for down in np.sort(generator.uniform(0.0, 1.0, 24)):
        across = float(generator.uniform(0, 1))
        ground = 0.5 + 0.25 * np.interp(across, (0, 1), slope[[0, -1]])
        centre = np.array([across * width, height * (ground + (1 - ground) * down)])
        add_shape(canvas, texture, generator, float((4 + 22 * down) * pixels_per_degree), centre)
    return _as_image(canvas)


def _sky(generator: np.random.Generator, width: int, height: int) -> Field:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 0.7
    sky = _SKY_TOP + down * (_SKY_LOW - _SKY_TOP) + np.zeros((height, width, 3))
    clouds = np.clip(pink(generator, height, width, 1.6) - 0.2, 0, 1)[..., None]
    sky += 0.8 * clouds * (250.0 - sky)
    sun = generator.uniform(0, 1) * width
    glow = np.exp(-np.abs(np.arange(width) - sun) / (0.25 * width))[None, :, None]
    return np.asarray(sky + 35.0 * glow, np.float32)


def _as_image(canvas: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


SCENERIES: Final[dict[str, Scenery]] = {'room': generate, 'bare': bare, 'tiles': tiles, 'photograph': photograph}
