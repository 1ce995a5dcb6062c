"""Memory aware synapses (Aljundi et al. 2018). No PyTorch here: settings are listed without it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .settings import PenaltySettings

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import Penalty


SETTINGS = PenaltySettings


def make(weights: Mapping[str, 'Tensor'], own: PenaltySettings) -> 'Penalty':
    """Makes the penalty."""
    from .memory_aware_synapses import MemoryAwareSynapses

    return MemoryAwareSynapses(weights, own)
