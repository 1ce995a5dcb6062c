"""Memory aware synapses (Aljundi et al. 2018). No PyTorch here: settings are listed without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cls_common.settings import setting

from .settings import PenaltySettings, TASKS

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import Penalty


@dataclass(frozen=True, kw_only=True)
class MasSettings(PenaltySettings):
    tasks: str = setting('online', 'Several anchors; see `tasks` of ewc. The paper: online.', choices=TASKS)


SETTINGS = MasSettings


def make(weights: Mapping[str, 'Tensor'], own: MasSettings) -> 'Penalty':
    """Makes the penalty."""
    from .memory_aware_synapses import MemoryAwareSynapses

    return MemoryAwareSynapses(weights, own)
