"""Elastic weight consolidation (Kirkpatrick et al. 2017). No PyTorch here: settings are listed without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cls_common.settings import setting

from .settings import PenaltySettings

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import Penalty

FORMS = ('exact', 'sampled', 'empirical', 'batched')


@dataclass(frozen=True, kw_only=True)
class EwcSettings(PenaltySettings):
    fisher: str = setting(
        'sampled',
        'Form of the Fisher information. exact: expectation over all outputs, one gradient each; sampled: one drawn '
        'output a sample; empirical: what happened; batched: squared mean gradient of a batch, for comparison only.',
        choices=FORMS,
    )
    batch: int = setting(32, 'Samples of a batch of the form `batched`.', low=1)


SETTINGS = EwcSettings
# As in the original system: the newest task alone, raw importance, lambda without the factor 1/2.
REFERENCE = EwcSettings(weight=0.5, normalise=False, tasks='reference', fisher='empirical')


def make(weights: Mapping[str, 'Tensor'], own: EwcSettings) -> 'Penalty':
    """Makes the penalty."""
    from .fisher import Ewc

    return Ewc(weights, own)
