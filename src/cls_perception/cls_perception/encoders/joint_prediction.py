"""Encoder trained by forward and inverse dynamics of the robot's actions in embedding space.

Inverse dynamics as in Pathak et al. 2017, with collapse prevented by the variance and covariance terms of VICReg
(Bardes et al. 2022).
"""

from typing import ClassVar, Final

import torch
from torch import nn

from ..objective import Objective, TrainingBatch
from ..receptive_fields import ReceptiveFields
from ..small_images import SIDE
from ..trained_encoder import TrainedEncoder

_CHANNELS: Final = (16, 32, 64)
_FIELDS: Final = 4
_MIXED: Final = 128
# Weights of the terms. Variance and covariance as in VICReg; the inverse term alone would keep only edges.
_FORWARD, _INVERSE, _VARIANCE, _COVARIANCE = 10.0, 1.0, 10.0, 1.0


class Convnet(nn.Module):
    """Convolutions averaged over 4 x 4 smooth fields: too few position-dependent weights to memorise a scene.

    Attributes:
        maps: output channels.
    """

    maps: Final = _CHANNELS[-1]

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for count in _CHANNELS:
            layers += [nn.Conv2d(channels, count, 3, stride=2, padding=1), nn.GroupNorm(8, count), nn.GELU()]
            channels = count
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, self.maps, 1))
        self.fields = ReceptiveFields(SIDE // 2 ** len(_CHANNELS), _FIELDS, 0.6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (B, 3, 96, 96) in 0..1 to features (B, 1024)."""
        pooled: torch.Tensor = self.fields(self.layers(images - 0.5)).flatten(1)  # (B, 64 * 4 * 4)
        return pooled


class DynamicsPrediction(Objective):
    """Predicts the features after an action, and the action from the features before and after."""

    def __init__(self, backbone: nn.Module, features: int, actions: int) -> None:
        super().__init__(backbone)
        self.forward_in = nn.Linear(features, _MIXED)
        self.forward_by = nn.Linear(actions, _MIXED)
        self.forward_out = nn.Linear(_MIXED, features)
        self.inverse = nn.Sequential(nn.Linear(2 * features, _MIXED), nn.GELU(), nn.Linear(_MIXED, actions))

    def loss(self, batch: TrainingBatch, draws: torch.Generator) -> torch.Tensor:
        z = self.backbone(torch.cat([batch.before, batch.after]))  # (2 B, features)
        before, after = z.chunk(2)
        # The effect of an action depends on the features: a product, not a sum.
        change = self.forward_out(self.forward_in(before) * self.forward_by(batch.actions))
        forward = (before + change - after).square().mean()
        inverse = (self.inverse(torch.cat([before, after], dim=1)) - batch.actions).square().mean()
        variance, covariance = _spread(z.reshape(len(z), -1, _FIELDS**2).transpose(1, 2).flatten(0, 1))
        total: torch.Tensor = _FORWARD * forward + _INVERSE * inverse + _VARIANCE * variance + _COVARIANCE * covariance
        return total


class JointPrediction(TrainedEncoder):
    """Convnet of three layers at 96 px, trained on a robot's steps."""

    name: ClassVar[str] = 'joint_prediction'
    features: ClassVar[int] = Convnet.maps * _FIELDS**2

    @classmethod
    def backbone(cls) -> nn.Module:
        return Convnet()

    @classmethod
    def objective(cls, backbone: nn.Module, actions: int) -> Objective:
        return DynamicsPrediction(backbone, cls.features, actions)


def _spread(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns how far deviations of channels are below 1, and the correlation between channels; z (N, C)."""
    centred = z - z.mean(0)
    covariance = centred.T @ centred / (len(z) - 1)  # (C, C)
    deviation = (covariance.diagonal() + 1e-4).sqrt()
    off = covariance - torch.diag(covariance.diagonal())
    return (1.0 - deviation).clamp_min(0.0).mean(), off.square().sum() / len(covariance)


ENCODER = JointPrediction
