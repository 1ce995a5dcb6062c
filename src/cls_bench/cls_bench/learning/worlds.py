"""Worlds to learn in, by name: each is a set of simulator settings; a new one is a line here.

A life in one of them is that of a robot in use: one episode of 2,000 wake steps, with the recipe's own settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cls_common.errors import UserError
from cls_sim.settings import SimulatorSettings

from .plan import Plan

STEPS: Final = 2000
SEEDS: Final = 3
SLEEP_EVERY: Final = 500
# The recipe, the same without sleep, and the best row of retrieval and of replay in the five rooms.
ROWS: Final = ('default', 'no_sleep', 'retrieval_change', 'er_slow_samples_pairs')
ENCODERS: Final = ('early_resnet18', 'retina')
# s of simulated time that an action takes in lock-step.
PERIOD: Final = 1.0 / SimulatorSettings().frame_rate


@dataclass(frozen=True)
class NamedWorld:
    """A world that differs from the default one.

    Attributes:
        settings: of the simulator, by dotted name.
        changes: whether another room takes its place half-way, without a boundary. Each has test walks of its own.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    changes: bool = False

    @property
    def stretches(self) -> int:
        """Equal parts of the life that are scored each for itself."""
        return 2 if self.changes else 1


WORLDS: Final[Mapping[str, NamedWorld]] = {
    'room': NamedWorld(),
    'photo': NamedWorld({'scenery': 'photograph'}),
    'bare': NamedWorld({'scenery': 'bare'}),
    'tiles': NamedWorld({'scenery': 'tiles'}),
    'drift': NamedWorld({'light_drift': 0.4, 'light_period': 20.0}),
    'play': NamedWorld({'gear_play': 1.5}),
    'late': NamedWorld({'faults.image_lag': 1}),
    'late_body': NamedWorld({'faults.action_lag': 1}),
    'noise': NamedWorld({'noise_sigma': 12.0}),
    'fan': NamedWorld({'fan_size': 30.0}),
    'change': NamedWorld(changes=True),
}
# Rates and weights are chosen in this one, in a seed that no table shows, and used in all of them.
TUNED_IN: Final = 'room'


def find(name: str) -> NamedWorld:
    """Returns a world by name; UserError where there is none."""
    if name not in WORLDS:
        raise UserError(f'unknown world {name!r}', expected='one of ' + ', '.join([*WORLDS, 'all']))
    return WORLDS[name]


def plan_of(name: str, steps: int = STEPS) -> Plan:
    """Returns the life in a world: a sleep after every 500 steps, everything kept beside a window of 200.

    Args:
        steps: wake steps in all, a multiple of 1,000.
    """
    parts = find(name).stretches
    nights = max(steps // parts // SLEEP_EVERY, 1)
    return Plan(
        life='robot', world=name, scenes=parts, steps=steps // parts, nights=nights,
        shares=(1.0,), window_counts=False, test_steps=100,
    )  # fmt: skip


def tuning_plan(plan: Plan) -> Plan:
    """Returns the life in which the values for `plan` are chosen."""
    if not plan.world:
        return plan
    parts = find(plan.world).stretches
    return replace(plan, world=TUNED_IN, scenes=1, steps=plan.total, nights=plan.nights * parts)


def simulation(plan: Plan, seed: int, scene: int, noise_sigma: float) -> SimulatorSettings:
    """Returns the simulator of one scene, or of all stretches of a life in a named world."""
    values: dict[str, Any] = {'seed': seed, 'lock_step': True, 'noise_sigma': noise_sigma}
    if not plan.world:
        return SimulatorSettings.from_flat(values | {'scene': scene})
    world = find(plan.world)
    if world.changes:
        # After the last image of the first half. The first image of a life is taken one period after its beginning.
        values['change_at'] = (plan.steps + 1.5) * PERIOD
    return SimulatorSettings.from_flat(values | dict(world.settings))
