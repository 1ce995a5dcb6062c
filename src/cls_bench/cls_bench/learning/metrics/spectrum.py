"""Principal components of embeddings: over how many dimensions an encoder spreads a scene."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..environment import SceneData
from .skill import errors

COMPONENTS = 32
# Smallest variance, as a share of the first component's; below it is rounding, where fewer than 32 are filled.
_NOTHING = 1e-8


@dataclass(frozen=True)
class Spectrum:
    """Principal components of all learning walks together.

    Attributes:
        basis: float32 (D, C), up to 32 with variance.
        first_share: share of the variance in the first one.
        participation: participation ratio, (sum of variances)^2 / sum of their squares.
        step_share: mean squared change of a step / variance within a scene.
    """

    basis: Tensor
    first_share: float
    participation: float
    step_share: float


def spectrum(scenes: Sequence[SceneData]) -> Spectrum:
    """Fits the components on the learning walks of all scenes."""
    z = torch.cat([scene.learning.z for scene in scenes]).double()
    centred = z - z.mean(0)
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(z))
    variances, vectors = variances.flip(0).clamp_min(0.0), vectors.flip(1)
    shares = [
        errors(scene.learning.z[:-1], scene.learning.z[1:]).mean() / scene.learning.z.double().var(0).mean()
        for scene in scenes
    ]
    return Spectrum(
        basis=vectors[:, variances > _NOTHING * variances[0]][:, :COMPONENTS].float(),
        first_share=float(variances[0] / variances.sum()),
        participation=float(variances.sum() ** 2 / variances.square().sum()),
        step_share=float(torch.stack(shares).mean()),
    )
