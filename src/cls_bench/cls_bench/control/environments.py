"""Environments of the benchmark by name."""

from dataclasses import dataclass
from typing import Final

from cls_common.errors import UserError
from cls_sim import robots

from .solving import Bounds


@dataclass(frozen=True)
class ControlEnvironment:
    """One environment.

    Attributes:
        robot: its name. bounds: of the mean return, when it counts as solved.
        budget, peer_budget: real steps of a run that does not solve it, of our agents and of model-free peers.
        preset: of the brain `spiking`, by name; the settings of an agent come before it.
    """

    robot: str
    bounds: Bounds
    budget: int
    peer_budget: int
    preset: str = ''


ENVIRONMENTS: Final = {
    'CartPole-v1': ControlEnvironment('gym:CartPole-v1', Bounds(475.0, 450.0), 3000, 50_000),
    'Acrobot-v1': ControlEnvironment('gym:Acrobot-v1', Bounds(-100.0, -110.0), 20_000, 100_000),
    'Pendulum-v1': ControlEnvironment('gym:Pendulum-v1', Bounds(-200.0, -250.0), 10_000, 100_000),
    'cart_pole': ControlEnvironment('cart_pole', Bounds(750.0, 700.0, 3), 20_000, 100_000, 'swing_up'),
}


def find(name: str) -> ControlEnvironment:
    """Returns an environment by name; raises UserError where there is none, or no such robot."""
    if name not in ENVIRONMENTS:
        raise UserError(f'unknown environment {name!r}', expected='one of ' + ', '.join(ENVIRONMENTS))
    robots.check(ENVIRONMENTS[name].robot)
    return ENVIRONMENTS[name]
