"""JSON report: a row for each agent and environment with 95 % intervals, all runs, and the targets."""

from collections.abc import Mapping, Sequence
import math
import statistics
from typing import Any, Final

from ..learning.statistics import clean, median_interval, summary
from ..targets import target
from .agents import AGENTS, PEERS
from .runner import ControlResults, Metrics

# The targets are for this agent and these environments.
AGENT: Final = 'spiking'
ENVIRONMENT: Final = 'CartPole-v1'
SWING_UP: Final = 'cart_pole'
_MEANS = ('seconds', 'ops_act', 'ops_learn', 'spike_rate', 'model_error')


def document(results: ControlResults) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    cells: dict[tuple[str, str], dict[int, Metrics]] = {}
    for job, metrics in results.found.items():
        cells.setdefault((job.environment, job.agent), {})[job.seed] = metrics
    order = list(AGENTS)
    rows = [
        row(agent, environment, list(by_seed.values()))
        for (environment, agent), by_seed in sorted(
            cells.items(), key=lambda cell: (cell[0][0], order.index(cell[0][1]))
        )
    ]
    worst = {(each['env'], each['agent']): each['solved_worst'] for each in rows}
    report: dict[str, Any] = {
        'peers_date': results.peers_date,
        'targets': targets(rows),
        'rows': rows,
        'runs': [
            {'agent': job.agent, 'env': job.environment, 'seed': job.seed,
             'solved_worst': worst[job.environment, job.agent], **metrics}
            for job, metrics in sorted(results.found.items(), key=lambda item: (item[0].label))
        ],
    }  # fmt: skip
    plain: dict[str, Any] = clean(report)
    return plain


def row(agent: str, environment: str, runs: Sequence[Metrics]) -> dict[str, Any]:
    """Returns the row of one agent in one environment.

    `solved_steps` is the median over seeds, infinite where half of them are not solved; `solved_worst` the largest.
    `return_at` has the steps that all seeds reached, `best_return` is the mean over seeds of their best rounds.
    """
    steps = [math.inf if each['solved_steps'] is None else float(each['solved_steps']) for each in runs]
    reached = set.intersection(*(set(each['return_at']) for each in runs))
    shared = [{k: v for k, v in each['return_at'].items() if k in reached} for each in runs]
    figures = [{name: each.get(name) for name in _MEANS} for each in runs]
    seconds = [each['seconds'] if math.isfinite(s) else math.inf for each, s in zip(runs, steps)]
    return {
        'agent': agent,
        'env': environment,
        'seeds': len(runs),
        'solved': sum(math.isfinite(each) for each in steps),
        'solved_steps': statistics.median(steps),
        'solved_steps_ci': median_interval(steps),
        'solved_worst': max(steps),
        'seconds_worst': max(seconds),
        'best_return': statistics.mean(max(each['return_at'].values()) for each in runs),
        **summary([{**own, 'return_at': at} for own, at in zip(figures, shared)]),
    }


def targets(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the targets of the environments of the rows with what was measured; `met`: None where it was not run."""
    asked: list[tuple[str, str, float | None, str, float]] = []
    environments = {row['env'] for row in rows}
    if ENVIRONMENT in environments:
        asked += [(ENVIRONMENT, *each) for each in _of_balancing(rows)]
    if SWING_UP in environments:
        asked += [(SWING_UP, *each) for each in _of_swing_up(rows)]
    return [
        target(f'{environment}, {AGENT}: {text}', value, sign, bound) for environment, text, value, sign, bound in asked
    ]


def _of_balancing(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, float | None, str, float]]:
    own = _of(rows, AGENT, ENVIRONMENT)
    known = (_of(rows, name, ENVIRONMENT) for name in PEERS)
    peers = [peer for peer in known if peer is not None and not math.isinf(peer['solved_steps'])]
    best = min(peers, key=lambda peer: float(peer['solved_steps']), default=None)
    ratio = None
    if own is not None and best is not None:
        ratio = best['solved_steps'] / own['solved_steps']  # 0 where ours are infinite
    better = 'the better of PPO and DQN' if best is None else f'{best["agent"]}, the best of PPO and DQN'
    of_own: Mapping[str, Any] = own or {}
    return [
        ('real steps until solved, median of the seeds', of_own.get('solved_steps'), '<=', 1000.0),
        ('real steps until solved, worst seed', of_own.get('solved_worst'), '<=', 2000.0),
        ('seconds of learning until solved, worst seed', of_own.get('seconds_worst'), '<=', 60.0),
        ('rate of spikes, mean of the seeds', of_own.get('spike_rate'), '<=', 0.1),
        (f'steps of {better} as a multiple of its own', ratio, '>=', 5.0),
    ]


def _of_swing_up(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, float | None, str, float]]:
    own, twin = _of(rows, AGENT, SWING_UP), _of(rows, 'gru', SWING_UP)
    share = None if own is None or twin is None else own['best_return'] / twin['best_return']
    return [
        ('real steps until solved, median of the seeds', None if own is None else own['solved_steps'], '<=', 20_000.0),
        ('best return as a share of that of gru', share, '>=', 0.8),
    ]


def _of(rows: Sequence[Mapping[str, Any]], agent: str, environment: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if (row['agent'], row['env']) == (agent, environment)), None)
