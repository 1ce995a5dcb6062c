"""Convolutional autoencoder: convolutions of stride 2 to a small grid of tokens, and the same way back."""

from collections.abc import Iterator, Sequence
import itertools
from typing import cast

import numpy as np
from torch import nn, Tensor
from torch.nn import functional

from cls_common.errors import UserError

from ..settings import NetworkSettings
from .contract import Autoencoder


class ConvolutionalAutoencoder(Autoencoder):
    """Codes a picture as a token for each cell of a grid, row by row. It hides nothing: `hidden` is ignored.

    The decoder's output lies in 0..1, so it is a picture as it is, for a loss of squared error.

    Args:
        size: (H, W) of pictures, multiples of 2 ** len(channels).
        channels: of each convolution; the last is the width of a token.
    """

    masks = False

    def __init__(self, size: tuple[int, int] = (224, 224), channels: Sequence[int] = (64, 128, 256, 256, 256)) -> None:
        super().__init__()
        reduction = 2 ** len(channels)
        if any(side % reduction or not side for side in size):
            raise UserError(
                'size of pictures', expected=f'multiples of {reduction} px', found=f'{size[1]}x{size[0]} px'
            )
        self._grid = (size[0] // reduction, size[1] // reduction)
        self.size, self.width, self.tokens = size, channels[-1], self._grid[0] * self._grid[1]
        self.encoder = nn.Sequential(*_down((3, *channels)))
        self.decoder = nn.Sequential(*_up((*reversed(channels), 3)))

    def encode(self, pictures: Tensor) -> Tensor:
        return cast(Tensor, self.encoder(pictures).flatten(2).transpose(1, 2))

    def decode(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.decoder(tokens.transpose(1, 2).reshape(-1, self.width, *self._grid)))

    def reconstruct(self, pictures: Tensor, hidden: float, generator: np.random.Generator) -> Tensor:
        return self.decode(self.encode(pictures))


class _BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also holds for one picture of one pixel, as smallest pictures are deep inside.

    A single value has no variance: it is normalised by the running statistics, and leaves them as they are.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.numel() > self.num_features:
            return super().forward(input)
        return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def _down(channels: Sequence[int]) -> Iterator[nn.Module]:
    for inputs, outputs in itertools.pairwise(channels):
        yield from (nn.Conv2d(inputs, outputs, 4, 2, 1), _BatchNorm(outputs), nn.ReLU())


def _up(channels: Sequence[int]) -> Iterator[nn.Module]:
    *inner, last = itertools.pairwise(channels)
    for inputs, outputs in inner:
        yield from (nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), _BatchNorm(outputs), nn.ReLU())
    yield from (nn.ConvTranspose2d(*last, 4, 2, 1), nn.Sigmoid())


def make_autoencoder(own: NetworkSettings) -> ConvolutionalAutoencoder:
    """Makes an untrained autoencoder; `network.width` has no effect."""
    return ConvolutionalAutoencoder((own.size, own.size))
