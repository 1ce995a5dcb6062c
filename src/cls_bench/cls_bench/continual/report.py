"""JSON report: a row for each method, library and benchmark with 95 % intervals, all runs, and the targets."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ..learning.statistics import clean, summary
from ..targets import target
from .rows import AVALANCHE, GRIDS, OURS, WORLD_BENCHMARKS, WORLDS
from .runner import ContinualResults

# Our method of which the targets are.
METHOD: Final = 'sleep'
# Benchmarks on which it must be better than the best method of Avalanche, and by how much; that of EWC.
TARGETS: Final = ('permuted_digits', 'split_digits')
EWC: Final = 'permuted_digits'
MARGIN: Final = 0.02
SWITCHES: Final = ('found', 'found_gradual', 'false_per_1000', 'delay')
Row = Mapping[str, Any]


def document(results: ContinualResults) -> dict[str, Any]:
    """Returns the report as plain JSON values; `switches`: what was found of changes of the world."""
    order = {(library, method): i for i, (library, method) in enumerate(
        (library, method) for library, methods in GRIDS.items() for method in methods
    )}  # fmt: skip
    benchmarks = results.request.benchmarks
    cells = sorted(results.found, key=lambda c: (benchmarks.index(c.benchmark), order[c.library, c.method]))
    rows = [
        {
            'benchmark': cell.benchmark, 'method': cell.method, 'library': cell.library,
            'seeds': len(results.found[cell][1]), 'values': dict(results.found[cell][0]),
            'finals': {str(seed): metrics['final'] for seed, metrics in results.found[cell][1].items()},
            **summary([
                {name: value for name, value in metrics.items() if name not in ('seed', 'library')}
                for metrics in results.found[cell][1].values()
            ]),
        }
        for cell in cells
    ]  # fmt: skip
    report: dict[str, Any] = {
        'figures_date': results.figures_date,
        'optimizer_state': 'kept from task to task',
        'targets': targets(rows),
        'rows': rows,
        'switches': _switches(rows),
        'runs': [
            {'benchmark': cell.benchmark, 'method': cell.method, 'library': cell.library,
             'values': dict(results.found[cell][0]), **metrics, 'seed': seed}
            for cell in cells
            for seed, metrics in results.found[cell][1].items()
        ],
    }  # fmt: skip
    plain: dict[str, Any] = clean(report)
    return plain


def targets(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the targets with what was measured; `met` is None where it was not run."""
    benchmarks = list(dict.fromkeys(row['benchmark'] for row in rows))
    if set(benchmarks) <= set(WORLD_BENCHMARKS):
        return _world_targets(rows) if WORLDS in benchmarks else []
    found = [_better(rows, name) for name in TARGETS]
    ours = [row for row in _of(rows, OURS, EWC) if row['method'].startswith('ewc')]
    theirs = [row for row in _of(rows, AVALANCHE, EWC) if row['method'].startswith('ewc')]
    found.append(_compared(f'{EWC}: the best EWC', _best(ours), _best(theirs), MARGIN))
    found += [_parity(rows, name) for name in benchmarks if name not in WORLD_BENCHMARKS]
    return found + (_world_targets(rows) if WORLDS in benchmarks else [])


def _switches(rows: Sequence[Row]) -> dict[str, Any] | None:
    own = next((row for row in rows if row['benchmark'] == WORLDS and row['method'] == METHOD), None)
    if own is None:
        return None
    return {name: own[name] for key in SWITCHES for name in (key, f'{key}_ci')}


def _world_targets(rows: Sequence[Row]) -> list[dict[str, Any]]:
    by_method = {row['method']: row for row in rows if row['benchmark'] == WORLDS}
    own, joint, none, replay = (by_method.get(name, {}) for name in (METHOD, 'joint', 'none', 'replay'))

    def share(one: Row, other: Row, name: str) -> float | None:
        values = one.get(name), other.get(name)
        return None if None in values or not values[1] else float(values[0] / values[1])  # type: ignore[operator]

    error, least = ({'error': 1.0 - row['final']} if row else {} for row in (own, joint))
    figures = [
        ('error at the end, as a share of that of joint training', share(error, least, 'error'), '<=', 1.05),
        ('forgetting, as a share of that of none', share(own, none, 'forgetting'), '<=', 0.25),
        ('largest dip, as a share of that of replay', share(own, replay, 'dip'), '<=', 0.5),
        ('abrupt switches found within 50 steps', own.get('found'), '>=', 0.95),
        ('gradual switches found until 50 steps after their end', own.get('found_gradual'), '>=', 0.8),
        ('false alarms in 1,000 steps', own.get('false_per_1000'), '<=', 0.2),
        ('rise of the error of the other sense while one is stuck', own.get('killed_rise'), '<=', 0.2),
        ('steps from its return until the error is normal', own.get('killed_recovered'), '<=', 200),
    ]  # fmt: skip
    return [target(f'{WORLDS}: {what}', value, sign, bound) for what, value, sign, bound in figures]


def _better(rows: Sequence[Row], benchmark: str) -> dict[str, Any]:
    own = next((row for row in _of(rows, OURS, benchmark) if row['method'] == METHOD), None)
    return _compared(f'{benchmark}:', own, _best(_of(rows, AVALANCHE, benchmark)), MARGIN)


def _parity(rows: Sequence[Row], benchmark: str) -> dict[str, Any]:
    """Compares the method that is the furthest below that of the same name."""
    theirs = {row['method']: row for row in _of(rows, AVALANCHE, benchmark)}
    pairs = [(row, theirs[row['method']]) for row in _of(rows, OURS, benchmark) if row['method'] in theirs]
    own, other = min(pairs, key=lambda pair: np.subtract(*_on_shared_seeds(*pair)), default=(None, None))
    return _compared(f'{benchmark}: the lowest of {len(pairs)} methods of both,', own, other, -MARGIN)


def _compared(what: str, own: Row | None, other: Row | None, bound: float) -> dict[str, Any]:
    value, text = None, f'{what} final accuracy above that of Avalanche'
    if own is not None and other is not None:
        ours, theirs = _on_shared_seeds(own, other)
        value = ours - theirs
        text = (
            f'{what} final accuracy of {own["method"]}, {ours:.3f}, above that of Avalanche, {other["method"]}, '
            f'{theirs:.3f}'
        )
    return target(text, value, '>=', bound)


def _on_shared_seeds(own: Row, other: Row) -> tuple[float, float]:
    """Returns the mean final accuracy of both on the seeds that both have, or on all of each."""
    shared = own['finals'].keys() & other['finals'].keys()
    ours, theirs = ([row['finals'][seed] for seed in shared or row['finals']] for row in (own, other))
    return float(np.mean(ours)), float(np.mean(theirs))


def _of(rows: Sequence[Row], library: str, benchmark: str) -> list[Row]:
    return [row for row in rows if (row['library'], row['benchmark']) == (library, benchmark)]


def _best(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: float(row['final']), default=None)
