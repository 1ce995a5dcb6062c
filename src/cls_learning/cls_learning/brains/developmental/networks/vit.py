"""Masked autoencoder: a vision transformer that sees some patches, and a small decoder (He et al. 2022).

The decoder is a perceptron that is applied to each patch by itself, as in the original system: what it draws in a
hidden patch depends on the position of that patch alone.
"""

from typing import cast

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.errors import UserError

from ..settings import NetworkSettings
from .contract import Autoencoder


class MaskedAutoencoder(Autoencoder):
    """Codes a picture as a class token, followed by a token for each patch, row by row.

    Args:
        size: (H, W) of pictures, multiples of `patch`.
        width: D of the encoder, a multiple of 4 and of `heads`. ratio: hidden units of its perceptrons, in widths.
        decoder_width: of the decoder, a multiple of 4.
    """

    positions: Tensor
    decoder_positions: Tensor

    def __init__(
        self,
        size: tuple[int, int] = (224, 224),
        patch: int = 16,
        width: int = 256,
        depth: int = 5,
        heads: int = 4,
        ratio: int = 4,
        decoder_width: int = 128,
    ) -> None:
        super().__init__()
        if any(side % patch or not side for side in size):
            raise UserError('size of pictures', expected=f'multiples of {patch} px', found=f'{size[1]}x{size[0]} px')
        self.size, self.width, self._patch = size, width, patch
        self._grid = (size[0] // patch, size[1] // patch)
        self.patches = self._grid[0] * self._grid[1]
        self.tokens = 1 + self.patches
        self.embedding = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, heads, ratio * width, 0.0, 'gelu', batch_first=True, norm_first=True)
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.decoder_embedding = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, decoder_width))
        self.decoder = nn.Sequential(
            nn.Linear(decoder_width, decoder_width), nn.ReLU(), nn.Linear(decoder_width, 3 * patch**2)
        )
        # Fixed, so they belong to no state. The class token has no position.
        self.register_buffer('positions', sine_cosine(self._grid, width), persistent=False)
        self.register_buffer('decoder_positions', sine_cosine(self._grid, decoder_width), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.embedding.weight.view(width, -1))
        nn.init.zeros_(cast(Tensor, self.embedding.bias))

    def encode(self, pictures: Tensor) -> Tensor:
        return self._encode(self._embed(pictures))

    def decode(self, tokens: Tensor) -> Tensor:
        return self._draw(self.decoder_embedding(tokens[:, 1:]))

    def reconstruct(self, pictures: Tensor, hidden: float, generator: np.random.Generator) -> Tensor:
        """See Autoencoder. int(P (1 - hidden)) of the P patches of a picture are kept, the first of a random order."""
        if not hidden:
            return self.decode(self.encode(pictures))
        batch, count = len(pictures), kept(self.patches, hidden)
        orders = np.stack([generator.permutation(self.patches) for _ in range(batch)])
        chosen = torch.from_numpy(orders[:, :count]).to(pictures.device)[..., None]  # (B, P', 1)
        visible = self._embed(pictures).gather(1, chosen.expand(-1, -1, self.width))
        coded = self.decoder_embedding(self._encode(visible)[:, 1:])
        blank = self.mask_token.expand(batch, self.patches, -1)
        return self._draw(blank.scatter(1, chosen.expand_as(coded), coded))

    def _embed(self, pictures: Tensor) -> Tensor:
        """Returns patches with their positions, (B, P, D)."""
        return cast(Tensor, self.embedding(pictures)).flatten(2).transpose(1, 2) + self.positions

    def _encode(self, patches: Tensor) -> Tensor:
        """Returns tokens (B, 1 + P', D) of the P' patches that are visible."""
        tokens = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], 1)
        return cast(Tensor, self.norm(self.layers(tokens)))

    def _draw(self, patches: Tensor) -> Tensor:
        """Returns pictures (B, 3, H, W) of decoder tokens (B, P, decoder width)."""
        pixels = self.decoder(patches + self.decoder_positions)  # (B, P, patch * patch * 3)
        rows, columns = self._grid
        blocks = pixels.view(-1, rows, columns, self._patch, self._patch, 3)
        return cast(Tensor, blocks.permute(0, 5, 1, 3, 2, 4).reshape(-1, 3, *self.size))


def kept(patches: int, hidden: float) -> int:
    """Returns how many of the patches stay visible if a share of them is hidden."""
    return int(patches * (1 - hidden))


def sine_cosine(grid: tuple[int, int], width: int) -> Tensor:
    """Returns fixed positions (1, rows * columns, width) of a grid: half of the width for each axis, sines first."""
    frequencies = 10_000.0 ** -(torch.arange(width // 4) / (width // 4))
    rows, columns = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in grid), indexing='ij')
    angles = [axis.flatten()[:, None] * frequencies for axis in (columns, rows)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], 1)[None]


def make_autoencoder(own: NetworkSettings) -> MaskedAutoencoder:
    """Makes an untrained autoencoder."""
    return MaskedAutoencoder((own.size, own.size), own.patch, own.width, own.encoder_layers, own.encoder_heads)
