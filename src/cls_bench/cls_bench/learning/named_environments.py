"""Named environments (`--world NAME`): each is a set of simulator settings; a new one is a line here.

A stream in one of them is a robot in use: one episode of 2,000 wake steps, with the recipe's own settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cls_common.errors import UserError
from cls_sim.settings import SimulatorSettings

from .protocol import StreamProtocol

STEPS: Final = 2000
SEEDS: Final = 3
SLEEP_EVERY: Final = 500
# The default recipe, the same without sleep, and the best retrieval and replay baselines of the `short` stream.
BASELINES: Final = ('default', 'no_sleep', 'retrieval_change', 'er_slow_samples_pairs')
ENCODERS: Final = ('early_resnet18', 'retina')
# s of simulated time that an action takes in lock-step.
PERIOD: Final = 1.0 / SimulatorSettings().frame_rate


@dataclass(frozen=True)
class NamedEnvironment:
    """Changes of the default environment.

    Attributes:
        settings: of the simulator, by dotted name.
        changes: whether another room replaces it half-way, without a boundary. Each room has its own test walks.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    changes: bool = False

    @property
    def stretches(self) -> int:
        """Equal parts of the stream that are scored separately."""
        return 2 if self.changes else 1


ENVIRONMENTS: Final[Mapping[str, NamedEnvironment]] = {
    'room': NamedEnvironment(),
    'photo': NamedEnvironment({'scenery': 'photograph'}),
    'bare': NamedEnvironment({'scenery': 'bare'}),
    'tiles': NamedEnvironment({'scenery': 'tiles'}),
    'drift': NamedEnvironment({'light_drift': 0.4, 'light_period': 20.0}),
    'play': NamedEnvironment({'gear_play': 1.5}),
    'late': NamedEnvironment({'faults.image_lag': 1}),
    'late_body': NamedEnvironment({'faults.action_lag': 1}),
    'noise': NamedEnvironment({'noise_sigma': 12.0}),
    'fan': NamedEnvironment({'fan_size': 30.0}),
    'change': NamedEnvironment(changes=True),
}
# Tuning environment: values are chosen in it with TUNING_SEED, and used in all environments.
TUNED_IN: Final = 'room'


def find(name: str) -> NamedEnvironment:
    """Returns an environment by name; raises UserError for an unknown name."""
    if name not in ENVIRONMENTS:
        raise UserError(f'unknown world {name!r}', expected='one of ' + ', '.join([*ENVIRONMENTS, 'all']))
    return ENVIRONMENTS[name]


def protocol_of(name: str, steps: int = STEPS) -> StreamProtocol:
    """Returns the protocol of an environment: a sleep every 500 steps, all transitions kept beside a window of 200.

    Args:
        steps: wake steps in total, a multiple of 1,000.
    """
    parts = find(name).stretches
    sleeps_per_scene = max(steps // parts // SLEEP_EVERY, 1)
    return StreamProtocol(
        stream='robot',
        environment=name,
        scenes=parts,
        steps=steps // parts,
        sleeps_per_scene=sleeps_per_scene,
        shares=(1.0,),
        window_counts=False,
        test_steps=100,
    )


def tuning_protocol(protocol: StreamProtocol) -> StreamProtocol:
    """Returns the protocol in which the values for `protocol` are chosen."""
    if not protocol.environment:
        return protocol
    parts = find(protocol.environment).stretches
    return replace(
        protocol,
        environment=TUNED_IN,
        scenes=1,
        steps=protocol.total,
        sleeps_per_scene=protocol.sleeps_per_scene * parts,
    )


def simulation(protocol: StreamProtocol, seed: int, scene: int, noise_sigma: float) -> SimulatorSettings:
    """Returns the simulator settings of one scene, or of a whole stream in a named environment."""
    values: dict[str, Any] = {'seed': seed, 'lock_step': True, 'noise_sigma': noise_sigma}
    if not protocol.environment:
        return SimulatorSettings.from_flat(values | {'scene': scene})
    environment = find(protocol.environment)
    if environment.changes:
        # After the last image of the first half. The first image is taken one period after the start of the stream.
        values['change_at'] = (protocol.steps + 1.5) * PERIOD
    return SimulatorSettings.from_flat(values | dict(environment.settings))
