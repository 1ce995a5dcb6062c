"""Contract of encoders. No torch here: vector observations do not need it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from .settings import EncoderSettings

EMBEDDING_SIZE: Final = 512  # of all image encoders
CAMERA: Final = 'camera'

Array = NDArray[Any]


class Encoder(ABC):
    """Maps images or observations to embeddings. Frozen.

    Attributes:
        name: architecture, the name of its file.
        id: architecture, digest of all weights, backend and its precision. Encoders with equal ids give
            bit-identical embeddings on one machine, device and thread count, else equal up to rounding.
        vectors: takes an observation, not images.
        version: increases when the weights change, from 1.
        size: length of an embedding.
        modality: 'camera' or the name of an observation.
        frames: images that go into one embedding; more than 1: the encoder takes clips.
    """

    name: ClassVar[str]
    frames: ClassVar[int] = 1
    vectors: ClassVar[bool] = False

    id: str
    version: int
    size: int
    modality: str

    @classmethod
    @abstractmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        """Makes a new encoder; `size` and `modality` of the observation are for vector encoders."""

    @classmethod
    @abstractmethod
    def load(cls, config: dict[str, Any], weights: bytes, threads: int, device: str) -> Self:
        """Restores an encoder from its `config()` and `weights()`; raises UserError if they are damaged."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns the configuration that restores this encoder together with its weights, as plain JSON values."""

    @abstractmethod
    def weights(self) -> bytes:
        """Returns all weights as safetensors, including the projection: a new one would change all embeddings."""

    @abstractmethod
    def check(self, x: Array) -> Array:
        """Returns a valid input, of the shape of `encode`, or raises UserError."""

    @abstractmethod
    def embed(self, x: Array) -> NDArray[np.float32]:
        """Computes embeddings, float32 (B, size), of a checked input."""

    def encode(self, x: Array) -> NDArray[np.float32]:
        """Embeds a batch.

        Args:
            x: uint8 (B, H, W, 3) RGB; clip encoders: uint8 (B, T, H, W, 3), 1 <= T <= frames, oldest first,
                padded by repeating the last; vector encoders: float32 (B, N).

        Returns:
            float32 (B, size), all finite.

        Raises:
            UserError: an input of another shape or type, or non-finite values in or out.
        """
        z = self.embed(self.check(x))
        if not np.isfinite(z).all():
            raise UserError(f'embedding of {self.id}', expected='finite values', found='NaN or infinity')
        return z

    def check_images(self, x: Array) -> Array:
        """Returns images or clips of valid shape and type, else raises UserError."""
        clips = self.frames > 1
        expected = f'uint8 (B, {f"1 to {self.frames}, " if clips else ""}H, W, 3)'
        right = x.dtype == np.uint8 and x.ndim == 4 + clips and x.shape[-1] == 3 and 0 not in x.shape
        if not right or (clips and x.shape[1] > self.frames):
            raise UserError(f'input of {self.name}', expected=expected, found=f'{x.dtype} {x.shape}')
        return x
