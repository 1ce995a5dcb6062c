"""Identity: vector observations are their own embedding."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from .. import weights as weight_files
from ..encoder import Array, Encoder
from ..settings import EncoderSettings, RANDOM


class Identity(Encoder):
    """float32 (B, N) -> the same; size N, no weights. For robots without a camera."""

    name: ClassVar[str] = 'identity'
    vectors: ClassVar[bool] = True

    def __init__(self, size: int, modality: str, version: int = 1) -> None:
        if size < 1:
            raise UserError('size of encoder identity', expected='the length of the observation', found=str(size))
        self.size, self.modality, self.version = size, modality, version
        self.id = f'identity-{modality}-{size}-float32'

    @classmethod
    def make(cls, settings: EncoderSettings, size: int, modality: str) -> Self:
        if settings.weights not in ('', RANDOM):
            raise UserError('encoder identity has no weights', found=settings.weights, do='Leave `weights` empty.')
        return cls(size, modality)

    @classmethod
    def load(cls, config: dict[str, Any], weights: bytes, threads: int, device: str) -> Self:
        weight_files.check_fits(
            {name: array.shape for name, array in weight_files.from_bytes(weights, config).items()},
            {},
            cls.name,
        )
        try:
            return cls(int(config['size']), str(config['modality']), int(config['version']))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                'config of encoder identity', expected='size, modality, version', found=str(error)
            ) from error

    def config(self) -> dict[str, Any]:
        return {
            'name': self.name,
            'size': self.size,
            'modality': self.modality,
            'version': self.version,
            'digest': weight_files.digest({}),
        }

    def weights(self) -> bytes:
        return weight_files.to_bytes({})

    def check(self, x: Array) -> Array:
        if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != self.size:
            raise UserError(
                f'observation {self.modality!r}',
                expected=f'float32 (B, {self.size})',
                found=f'{x.dtype} {x.shape}',
            )
        if not np.isfinite(x).all():
            raise UserError(f'observation {self.modality!r}', expected='finite values', found='NaN or infinity')
        return x

    def embed(self, x: Array) -> NDArray[np.float32]:
        return x.copy()


ENCODER = Identity
