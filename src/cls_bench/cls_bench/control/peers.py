"""PPO and DQN of stable-baselines3: their runs in an environment of their own, and the figures of an earlier run."""

from collections.abc import Sequence
from datetime import date
import json
from pathlib import Path
from typing import Any, Final

from cls_common import atomic_file

from ..peer_environment import lines_of
from .agents import Agent, PEERS
from .environments import ControlEnvironment

ENVIRONMENT: Final = 'peers'
FIGURES: Final = Path(__file__).with_name('peer_figures.json')


def run(python: Path, agent: Agent, environment: ControlEnvironment, seed: int) -> dict[str, Any]:
    """Runs one seed of a peer in its environment; returns its metrics.

    Raises:
        UserError: it failed.
    """
    bounds = environment.bounds
    options: dict[str, Any] = {
        'algorithm': agent.algorithm, 'env': environment.robot.removeprefix('gym:'), 'solved': bounds.solved,
        'kept': bounds.kept, 'budget': environment.peer_budget, 'seed': seed,
    }  # fmt: skip
    words = [f'--{name}={value}' for name, value in options.items()] + ['--tuned'] * agent.tuned
    *_, last = lines_of([python, '-m', 'cls_bench.control.sb3_run', *words])
    found: dict[str, Any] = json.loads(last)
    return {**found, 'spike_rate': None, 'ops_act': None, 'ops_learn': None}


def read_figures() -> dict[str, Any]:
    """Returns the figures of an earlier run: `date`, and `runs`, one for each agent, environment and seed."""
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding='utf-8'))
    return found


def write_figures(runs: Sequence[dict[str, Any]]) -> None:
    """Replaces the figures of peers by those of a run of today; other agents in `runs` are left out."""
    own = [run for run in runs if run['agent'] in PEERS]
    atomic_file.write_json(FIGURES, {'date': date.today().isoformat(), 'runs': own})
