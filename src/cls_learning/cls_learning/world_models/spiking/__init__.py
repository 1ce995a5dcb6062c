"""A world model of spiking neurons, whose membranes are its state. No PyTorch here: settings are listed without it."""

from typing import Any

from ...neurons.settings import NeuronSettings

SETTINGS = NeuronSettings


def make(**keywords: Any) -> Any:
    """Makes an untrained network; see `network.make`."""
    from .network import make as make_network

    return make_network(**keywords)
