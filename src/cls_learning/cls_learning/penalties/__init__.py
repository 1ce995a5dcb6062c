"""Penalties on changes of important weights, by name. No PyTorch here: settings are listed without it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cls_common.settings import PluginSettings

from ..registries import PENALTIES
from .settings import AnchorPhaseSettings

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import Penalty


def make(name: str, weights: Mapping[str, 'Tensor'], plugins: PluginSettings | None = None) -> 'Penalty':
    """Makes a penalty without an anchor.

    Args:
        weights: parameters of a network by name, as of `named_parameters`; changed in place by its optimiser.
        plugins: of the settings that chose `name`; None: defaults.

    Raises:
        UserError: no such penalty.
    """
    settings_class = PENALTIES.find(name).SETTINGS
    penalty: Penalty = PENALTIES.make(name, weights, plugins.of(settings_class) if plugins else settings_class())
    return penalty


def of_phase(phases: PluginSettings, weights: Mapping[str, 'Tensor']) -> 'Penalty | None':
    """Makes the penalty that the sleep phase `anchor` uses; None where the phase is not among `phases`."""
    own = _settings_of(phases)
    return None if own is None else make(own.penalty, weights, own.plugins)


def waits_for_change(phases: PluginSettings) -> bool:
    """Whether the sleep phase `anchor` is among `phases` and anchors after a change of the world only."""
    own = _settings_of(phases)
    return own is not None and own.when == 'change'


def _settings_of(phases: PluginSettings) -> AnchorPhaseSettings | None:
    try:
        return phases.of(AnchorPhaseSettings)
    except LookupError:
        return None
