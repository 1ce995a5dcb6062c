"""Settings of layers of spiking neurons. No PyTorch here: settings are listed without it."""

from dataclasses import dataclass

from cls_common.settings import setting, Settings

SURROGATE_NAMES = ('fast_sigmoid', 'arctan', 'triangle')
KINDS = ('leaky', 'synaptic')


@dataclass(frozen=True, kw_only=True)
class NeuronSettings(Settings):
    """Settings of a layer of spiking neurons."""

    neuron: str = setting(
        'leaky', 'Kind of neuron: `leaky` has a membrane, `synaptic` also a decaying input current.', choices=KINDS
    )
    ticks: int = setting(4, 'Simulation steps of the neurons in each step of the robot.', low=1, high=64)
    surrogate: str = setting('fast_sigmoid', 'Surrogate derivative of the spike function.', choices=SURROGATE_NAMES)
    slope: float = setting(5.0, 'Slope of the surrogate derivative; a larger slope gives a narrower one.', low=0.1)
    decay: float = setting(0.7, 'Share of a membrane that is left after a tick, before learning.', low=0.01, high=0.98)
    synapse: float = setting(
        0.5, 'Share of a `synaptic` current that is left after a tick, before learning.', low=0.01, high=0.98
    )
    threshold: float = setting(1.0, 'Membrane at which a neuron fires, before learning.', low=0.11, high=3.9)
