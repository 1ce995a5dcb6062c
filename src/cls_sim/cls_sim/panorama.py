"""Panoramas: a generated room with the statistics of photographs, or an image file.

Other generated panoramas are in `sceneries`, made of the same noise and shapes.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from .noise import Image

Field = NDArray[np.float32]

# One shape in each of 8 x 5 cells, 40 in all: at independent random positions they left whole views empty.
_CELLS = (8, 5)
# Diameters from small objects to furniture, degrees; log-uniform, since photographs are scale invariant.
_SMALLEST_DEG, _LARGEST_DEG = 5.0, 50.0
# Exponents of amplitude over frequency, for brightness and two colours: photographs have 1.0 to 1.2 for brightness,
# and smoother colours.
_EXPONENTS = (1.15, 1.6, 1.6)


def generate(generator: np.random.Generator, width: int, height: int, pixels_per_degree: float) -> Image:
    """Makes a room: 1/f noise in colour, light from above, and 40 textured shapes with edges.

    Args:
        width, height: pixels.
        pixels_per_degree: scale of the shapes.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    base = generator.uniform(90, 165) + generator.uniform(-25, 25, 3)
    canvas = (base + colour_noise(generator, height, width, 30.0)).astype(np.float32)
    canvas += np.linspace(22, -22, height, dtype=np.float32)[:, None, None]  # light from above
    texture = colour_noise(generator, height, width, 16.0)
    spread = np.log(_LARGEST_DEG / _SMALLEST_DEG)
    cells = generator.permutation(np.indices(_CELLS).reshape(2, -1).T)
    # The largest first: small objects are in front of large ones, and none is hidden.
    sizes = np.sort(_SMALLEST_DEG * np.exp(generator.uniform(0, spread, len(cells))))[::-1]
    centres = (cells + generator.uniform(0, 1, cells.shape)) / _CELLS * (width, height)
    for size, centre in zip(sizes * pixels_per_degree, centres):
        add_shape(canvas, texture, generator, float(size), centre)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def load(path: Path, width: int, height: int) -> Image:
    """Reads an image and scales it to cover width x height pixels, cropped around its middle.

    Returns:
        uint8 (height, width, 3) RGB.

    Raises:
        UserError: no such file, or no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise UserError(
            f'panorama {str(path)!r}',
            expected='a readable image',
            found='something else' if path.exists() else 'no file',
        )
    scale = max(width / image.shape[1], height / image.shape[0])
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width, ::-1], np.uint8)


def pink(generator: np.random.Generator, height: int, width: int, exponent: float) -> Field:
    """Returns a field (height, width) whose amplitude falls as 1/f^exponent: mean near 0, deviation 1."""
    # Computed slightly larger and cropped: sizes with large prime factors take several times as long.
    rows, columns = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)
    spectrum = np.fft.rfft2(generator.standard_normal((rows, columns)))
    down, across = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf  # no mean
    field = np.fft.irfft2(spectrum / frequency**exponent, s=(rows, columns))[:height, :width]
    return np.asarray(field / field.std(), np.float32)


def colour_noise(generator: np.random.Generator, height: int, width: int, contrast: float) -> Field:
    """Returns 1/f noise (height, width, 3) in grey levels: mostly brightness, less colour."""
    brightness, warm, green = (pink(generator, height, width, e) for e in _EXPONENTS)
    offsets = np.stack([warm - 0.5 * green, green, -warm - 0.5 * green], axis=-1)
    return np.asarray(contrast * (brightness[..., None] + 0.45 * offsets), np.float32)


def add_shape(
    canvas: Field, texture: Field, generator: np.random.Generator, size: float, centre: NDArray[np.float64]
) -> None:
    """Paints a random shape of `size` pixels at `centre` (x, y) into `canvas`; both fields are (height, width, 3)."""
    height, width, _ = canvas.shape
    outline = _OUTLINES[generator.integers(len(_OUTLINES))](generator, size) + centre
    # Shapes are drawn with 1/16 pixel precision, so that edges are not aligned to the pixel grid.
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    left, top = np.clip(np.floor(outline.min(0)).astype(int) - 2, 0, (width, height))
    right, bottom = np.clip(np.ceil(outline.max(0)).astype(int) + 3, 0, (width, height))
    part = (slice(top, bottom), slice(left, right))
    alpha = mask[part][..., None].astype(np.float32) / 255
    canvas[part] += alpha * (_surface(generator, texture[part], size) - canvas[part])


def _surface(generator: np.random.Generator, texture: Field, size: float) -> Field:
    """Returns a painted surface (h, w, 3): a colour, shading across it, grain, and at times stripes."""
    height, width, _ = texture.shape
    hue, saturation, value = generator.uniform((0, 15, 45), (180, 165, 235))
    colour = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    angle = generator.uniform(0, 2 * np.pi)
    down, across = np.mgrid[:height, :width].astype(np.float32)
    along = (np.cos(angle) * across + np.sin(angle) * down) / size
    shading = np.float32(generator.uniform(-35, 35)) * along
    if generator.random() < 0.3:
        shading = shading + generator.uniform(12, 40) * np.sign(np.sin(along * generator.uniform(12, 40)))
    grain = np.float32(generator.uniform(0.3, 1.2)) * texture
    return np.asarray(colour + shading[..., None] + grain, np.float32)


def _turned(points: NDArray[np.float64], generator: np.random.Generator, spread: float) -> NDArray[np.float64]:
    angle = generator.uniform(-spread, spread)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ turn.T)


def _ellipse(generator: np.random.Generator, size: float) -> NDArray[np.float64]:
    around = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    points = size / 2 * np.stack([np.cos(around), generator.uniform(0.4, 1.0) * np.sin(around)], -1)
    return _turned(points, generator, np.pi)


def _box(generator: np.random.Generator, size: float) -> NDArray[np.float64]:
    half = size / 2 * np.array([1.0, generator.uniform(0.25, 1.0)])
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    upright = corners[:, ::-1] if generator.random() < 0.5 else corners
    return _turned(upright, generator, 0.15)


def _polygon(generator: np.random.Generator, size: float) -> NDArray[np.float64]:
    around = np.sort(generator.uniform(0, 2 * np.pi, int(generator.integers(3, 8))))
    radius = size / 2 * generator.uniform(0.6, 1.0, around.size)
    return np.stack([radius * np.cos(around), radius * np.sin(around)], -1)


_Outline = Callable[[np.random.Generator, float], NDArray[np.float64]]
_OUTLINES: tuple[_Outline, ...] = (_ellipse, _box, _box, _polygon)
