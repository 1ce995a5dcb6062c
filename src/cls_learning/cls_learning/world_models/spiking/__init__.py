"""A world model of spiking neurons, whose membranes are its state. No PyTorch here: settings are listed without it."""

from dataclasses import dataclass
from typing import Any

from cls_common.settings import setting

from ...neurons.settings import NeuronSettings


@dataclass(frozen=True, kw_only=True)
class SpikingModelSettings(NeuronSettings):
    """Settings of the neurons of a world model, and of their connections."""

    pruned: float = setting(
        0.0, 'Share of the weights between layers of neurons that are 0; each neuron keeps one.', low=0.0, high=0.99
    )
    sparsity: str = setting(
        'static',
        'Which weights are 0: `static`, random ones for good; `set`, in each sleep of a brain that supports it the '
        'smallest of the others are replaced at random places (Mocanu et al. 2018).',
        choices=('static', 'set'),
    )


SETTINGS = SpikingModelSettings


def make(**keywords: Any) -> Any:
    """Makes an untrained network; see `network.make`."""
    from .network import make as make_network

    return make_network(**keywords)
