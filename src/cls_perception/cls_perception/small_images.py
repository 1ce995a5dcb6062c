"""Base class of encoders with an input of 96 x 96 pixels."""

from typing import Final

import torch
from torch import nn

from .torch_encoder import TorchEncoder

SIDE: Final = 96


class SmallImageEncoder(TorchEncoder):
    """The network takes float32 (B, 3, 96, 96), RGB, 0..1, neither cropped nor normalised."""

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        """See TorchEncoder: uint8 (B, H, W, 3) -> float32 (B, 3, 96, 96)."""
        pixels = shrink(x.to(self._device)).float().div_(255.0)
        return pixels.contiguous(memory_format=self.memory_format)


def shrink(images: torch.Tensor) -> torch.Tensor:
    """Resizes uint8 (B, H, W, 3) to uint8 (B, 3, 96, 96), anti-aliased, in the same way on all devices."""
    pixels = images.permute(0, 3, 1, 2)
    if pixels.shape[-2:] == (SIDE, SIDE):
        return pixels
    if pixels.device.type == 'cpu':
        return nn.functional.interpolate(pixels, (SIDE, SIDE), mode='bilinear', antialias=True)
    # Accelerators interpolate floats only.
    smooth = nn.functional.interpolate(pixels.float(), (SIDE, SIDE), mode='bilinear', antialias=True)
    return smooth.round_().clamp_(0.0, 255.0).to(torch.uint8)
