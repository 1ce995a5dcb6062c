"""Agents of the benchmark by name. A new world model is one entry of BRAINS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cls_common.errors import UserError
from cls_learning.registries import WORLD_MODELS

PLANNER: Final = 'planner'
# Recurrent models learn from windows of unbroken steps, as many steps in all as the others; each has as many units as
# give it the parameters of `spiking` within 5 %.
_RECURRENT: Final = {'world.window': 4, 'world.batch_size': 32}
_SPIKING_ACTOR: Final = {'agent.network': 'spiking'}
# As many updates as by default in 200 real steps, but most of them awake: 200 of 250 of the world model, 200 of 300 of
# actor and critic.
_AWAKE: Final = {'world.wake_interval': 1, 'agent.wake_interval': 1, 'sleep.sws_steps': 50, 'sleep.rem_steps': 100}


@dataclass(frozen=True)
class Agent:
    """One agent.

    Attributes:
        kind: 'brain', 'planner' or 'peer'. settings: of the brain `spiking` by dotted name.
        algorithm: of a peer, 'ppo' or 'dqn'. tuned: with the settings of rl-baselines3-zoo.
        most_seeds: seeds that are run at most: it is slow.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = ''
    tuned: bool = False
    most_seeds: int = 100


BRAINS: Final = {
    'spiking': Agent('brain'),
    'spiking_actor': Agent('brain', _SPIKING_ACTOR),
    'spiking_sparse': Agent('brain', {**_SPIKING_ACTOR, 'world.spike_rate': 0.03, 'world.spike_cost': 3.0}),
    'mlp': Agent('brain', {'world.model': 'mlp'}),
    'awake': Agent('brain', _AWAKE),
    'gru': Agent('brain', {'world.model': 'gru', 'world.hidden': 114, **_RECURRENT}),
    'event_gru': Agent('brain', {'world.model': 'event_gru', 'world.hidden': 63, **_RECURRENT}),
    'trace_units': Agent('brain', {'world.model': 'trace_units', 'world.hidden': 89, **_RECURRENT}),
}
PEERS: Final = {
    'ppo': Agent('peer', algorithm='ppo', tuned=True),
    'ppo_default': Agent('peer', algorithm='ppo'),
    'dqn': Agent('peer', algorithm='dqn', tuned=True),
    'dqn_default': Agent('peer', algorithm='dqn'),
}
AGENTS: Final = {**BRAINS, PLANNER: Agent('planner', most_seeds=3), **PEERS}


def find(name: str) -> Agent:
    """Returns an agent by name; raises UserError where there is none, or no such world model."""
    if name not in AGENTS:
        raise UserError(f'unknown agent {name!r}', expected='one of ' + ', '.join(AGENTS))
    agent = AGENTS[name]
    if 'world.model' in agent.settings:
        WORLD_MODELS.check(agent.settings['world.model'])
    return agent


def available() -> tuple[str, ...]:
    """Returns all agents whose world model exists."""
    known = WORLD_MODELS.names()
    return tuple(name for name, agent in AGENTS.items() if agent.settings.get('world.model', known[0]) in known)
