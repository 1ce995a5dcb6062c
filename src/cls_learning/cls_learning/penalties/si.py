"""Synaptic intelligence (Zenke, Poole and Ganguli 2017). No PyTorch here: settings are listed without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cls_common.settings import setting

from .settings import PenaltySettings

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import Penalty


@dataclass(frozen=True, kw_only=True)
class SiSettings(PenaltySettings):
    damping: float = setting(1e-3, 'Added to the squared change of a weight, by which its path is divided.', low=1e-12)


SETTINGS = SiSettings


def make(weights: Mapping[str, 'Tensor'], own: SiSettings) -> 'Penalty':
    """Makes the penalty."""
    from .synaptic_intelligence import SynapticIntelligence

    return SynapticIntelligence(weights, own)
