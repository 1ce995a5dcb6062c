"""The contract of every encoder. No torch here: vector observations need none."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from .settings import EncoderSettings

EMBEDDING_SIZE: Final = 512  # of every image encoder (row 000-005)
CAMERA: Final = 'camera'

Array = NDArray[Any]


class Encoder(ABC):
    """Turns what a sense delivers into embeddings. Frozen: nothing here is ever trained.

    Attributes:
        name: architecture, the name of its file.
        id: architecture, digest of all weights, backend and its precision. Encoders of equal ids give
            embeddings that are bit-identical on one machine, device and thread count, elsewhere to rounding.
        vectors: takes an observation, not images.
        version: rises when the weights change, from 1.
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
        """Makes a new encoder; `size` and `modality` are those of the observation, where it takes one."""

    @classmethod
    @abstractmethod
    def load(cls, config: dict[str, Any], weights: bytes, threads: int, device: str) -> Self:
        """Makes the encoder that `config()` and `weights()` came from; UserError where they are damaged."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns what rebuilds this encoder beside its weights, as plain JSON values."""

    @abstractmethod
    def weights(self) -> bytes:
        """Returns all weights as safetensors, projection included (hazard H1)."""

    @abstractmethod
    def check(self, x: Array) -> Array:
        """Returns the input as this encoder takes it, or raises UserError."""

    @abstractmethod
    def embed(self, x: Array) -> NDArray[np.float32]:
        """Computes embeddings of a checked input."""

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
        """Returns images or clips where shape and type are right, else raises UserError."""
        clips = self.frames > 1
        expected = f'uint8 (B, {f"1 to {self.frames}, " if clips else ""}H, W, 3)'
        right = x.dtype == np.uint8 and x.ndim == 4 + clips and x.shape[-1] == 3 and 0 not in x.shape
        if not right or (clips and x.shape[1] > self.frames):
            raise UserError(f'input of {self.name}', expected=expected, found=f'{x.dtype} {x.shape}')
        return x
