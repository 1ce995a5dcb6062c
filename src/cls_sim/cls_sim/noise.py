"""Counter-based random numbers: seed, stream and index determine the numbers, independent of the order of calls."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Values in a bank beyond one frame. A frame's noise is a window into the bank: with a million offsets two frames of a
# run rarely share one, and the bank's 1.2 MB fit into the processor's cache.
_SPARE = 2**20


def generator(seed: int, stream: int, index: int = 0) -> np.random.Generator:
    """Returns the generator of one draw: `stream` is its purpose, `index` its number."""
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=index))


class NoiseBank:
    """Sensor noise by two saturating additions per frame instead of 150,000 random draws.

    Args:
        values: int16 noise, any shape, at least as many values as a frame, each in -255..255.
        seed, stream: determine each frame's offset in the bank.
    """

    def __init__(self, values: NDArray[np.int16], seed: int, stream: int) -> None:
        flat = values.reshape(-1)
        self._more = np.clip(flat, 0, 255).astype(np.uint8)
        self._less = np.clip(-flat, 0, 255).astype(np.uint8)
        self._any_less = bool(self._less.any())
        self._seed, self._stream = seed, stream

    @classmethod
    def gaussian(cls, size: int, sigma: float, seed: int, stream: int) -> 'NoiseBank':
        """Normal noise of `sigma` grey levels, rounded, for frames of `size` numbers."""
        draws = generator(seed, stream).standard_normal(size + _SPARE, np.float32)
        return cls(np.rint(np.clip(sigma * draws, -255, 255)).astype(np.int16), seed, stream)

    @classmethod
    def uniform(cls, size: int, below: int, seed: int, stream: int) -> 'NoiseBank':
        """Uniform integers 0 <= n < `below`, for frames of `size` numbers."""
        return cls(generator(seed, stream).integers(0, below, size + _SPARE, np.int16), seed, stream)

    def add(self, image: Image, frame: int) -> Image:
        """Returns `image`, uint8 (H, W, 3), with the noise of frame number `frame`, clipped to 0..255."""
        import cv2  # here: the settings of robots are listed without it

        start = int(generator(self._seed, self._stream, frame + 1).integers(self._more.size - image.size + 1))
        window = slice(start, start + image.size)
        noisy = cv2.add(image, self._more[window].reshape(image.shape))
        if self._any_less:
            noisy = cv2.subtract(noisy, self._less[window].reshape(image.shape))
        return np.asarray(noisy, np.uint8)
