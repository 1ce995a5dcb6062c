"""JSON report of walks: means over starts, intervals, comparisons with random actions, and targets."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..learning.statistics import clean, mean, median_interval, summary
from . import explorers
from .runner import ExplorationResults, ExplorerResult
from .walk import Metrics

# The targets are for the default reward.
DEFAULT: Final = 'visit_count'
_CORNER: Final = 'corner_steps'


def document(results: ExplorationResults) -> dict[str, Any]:
    """Returns the report as plain JSON values: a row for each reward, environment and encoder, and the targets."""
    request = results.request
    rows = [_row(result, _random_result(result, results.results)) for result in results.results]
    report: dict[str, Any] = {
        'starts': request.starts,
        'seeds': min(request.seeds, request.starts),
        'worlds': {name: request.environment(name).steps for name in request.environments},
        'rows': rows,
        'targets': {
            encoder: targets([row for row in rows if row['encoder'] == encoder]) for encoder in request.encoders
        },
    }
    plain: dict[str, Any] = clean(report)
    return plain


def _row(result: ExplorerResult, random: ExplorerResult | None) -> dict[str, Any]:
    metrics: list[Metrics] = [
        {
            **{name: value for name, value in own.items() if name != _CORNER},
            'skill_over_random': _minus(own, other, 'model_skill'),
        }
        for own, other in zip(result.metrics, random.metrics if random else [None] * len(result.metrics))
    ]
    corner = [own[_CORNER] for own in result.metrics]
    known = None not in corner
    return {
        'reward': result.reward,
        'world': result.environment,
        'encoder': result.encoder,
        **summary(metrics),
        'corner_steps_median': float(np.median(corner)) if known else None,
        'corner_steps_median_ci': median_interval(corner) if known else None,
        'corner_steps_worst': max(corner) if known else None,
        'corner_steps_worst_ci': None,
        **{
            f'{name}_over_random': _ratio(result, random, name) for name in ('coverage_200', 'coverage_500', 'coverage')
        },
    }


def _random_result(result: ExplorerResult, results: Sequence[ExplorerResult]) -> ExplorerResult | None:
    same = (other for other in results if (other.encoder, other.environment) == (result.encoder, result.environment))
    return next((other for other in same if other.reward == explorers.RANDOM), None)


def _minus(own: Metrics, other: Metrics | None, name: str) -> float | None:
    return None if other is None or None in (own[name], other[name]) else own[name] - other[name]


def _ratio(result: ExplorerResult, random: ExplorerResult | None, name: str) -> float | None:
    """Returns the ratio to random actions, both as means over starts."""
    own, of_random = (mean([metrics[name] for metrics in each.metrics]) if each else None for each in (result, random))
    return own / of_random if own is not None and of_random else None


def targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns each target with the measured value; `met` is None where it was not run."""
    found = {(row['reward'], row['world']): row for row in rows}

    def of(reward: str, environment: str, metric: str) -> float | None:
        value: float | None = found.get((reward, environment), {}).get(metric)
        return value

    ratio, corner = of(DEFAULT, 'noise', 'noise_ratio'), 'corner_steps'
    asked = [
        (f'{DEFAULT}: coverage over random, 200 steps', of(DEFAULT, 'noise', 'coverage_200_over_random'), '>=', 2.4),
        (f'{DEFAULT}: coverage, 500 steps', of(DEFAULT, 'noise', 'coverage_500'), '>=', 0.98),
        (f'{DEFAULT}: time on noise over its share', ratio, '<=', 1.2),
        ('reference: time on noise over its share', of(explorers.REFERENCE, 'noise', 'noise_ratio'), '>', 3.0),
        (f'{DEFAULT}: steps out of the corner, median', of(DEFAULT, 'corner', f'{corner}_median'), '<=', 40.0),
        (f'{DEFAULT}: steps out of the corner, worst', of(DEFAULT, 'corner', f'{corner}_worst'), '<=', 120.0),
        _better_model(rows),
    ]
    return [
        {'target': target, 'value': value, 'bound': f'{sign} {bound:g}', 'met': _holds(value, sign, bound)}
        for target, value, sign, bound in asked
    ]


def _better_model(rows: Sequence[dict[str, Any]]) -> tuple[str, float | None, str, float]:
    """Returns the highest lower end of the paired intervals of skill over random; above 0 it is significant."""
    known = [row for row in rows if row['skill_over_random_ci'] and row['reward'] not in _NO_REWARDS]
    if not known:
        return ("a reward's model over random's, low end of the interval", None, '>', 0.0)
    best = max(known, key=lambda row: float(row['skill_over_random_ci'][0]))
    return (
        f"{best['reward']} in {best['world']}: its model's skill over random's, low end of the interval",
        float(best['skill_over_random_ci'][0]),
        '>',
        0.0,
    )


_NO_REWARDS = (explorers.RANDOM, explorers.GREEDY)


def _holds(value: float | None, sign: str, bound: float) -> bool | None:
    if value is None:
        return None
    return {'>=': value >= bound, '<=': value <= bound, '>': value > bound}[sign]
