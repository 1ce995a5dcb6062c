"""Console tables of a report, one for each benchmark."""

from typing import Any

from rich.console import Console
from rich.table import Table

from ..targets import show_targets
from .network import MEMORY
from .rows import WORLD_BENCHMARKS

_ACCURACIES = ('final', 'anytime', 'worst', 'dip', 'forgetting', 'bwt', 'fwt')
_COSTS = ('gradients', 'bytes', 'seconds')


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the targets, a line each, then a table for each benchmark: means over seeds with 95 % intervals."""
    show_targets(report['targets'], console)
    console.print(
        f'\naccuracy, mean over seeds with 95 % interval; memory of {MEMORY} images; optimiser state: '
        f'{report["optimizer_state"]}', highlight=False,
    )  # fmt: skip
    if report['figures_date']:
        console.print(f'Avalanche: figures of {report["figures_date"]}', highlight=False)
    benchmarks = dict.fromkeys(row['benchmark'] for row in report['rows'])
    for name in (name for name in benchmarks if name in WORLD_BENCHMARKS):
        console.print(
            f'{name}: skill, 1 - error / error of predicting no change; memory of 2 % of the stream', highlight=False
        )
        for row in report['rows']:
            if row['benchmark'] == name and row.get('found') is not None:
                console.print(f'{name}: {_changes(row)}', highlight=False)
    for benchmark in benchmarks:
        console.print(_table(benchmark, [row for row in report['rows'] if row['benchmark'] == benchmark]))


def _changes(row: dict[str, Any]) -> str:
    """Returns what a method found of changes of the world, and what a stuck sense cost it, in a line."""
    gradual = '' if row.get('found_gradual') is None else f', {row["found_gradual"]:.0%} of gradual ones'
    return (
        f'{row["method"]} found {row["found"]:.0%} of abrupt changes{gradual}, {row["false_per_1000"]:.2f} false '
        f'alarms in 1,000 steps; with one sense stuck the error of the other rises by {row["killed_rise"]:+.0%}'
    )


def _table(benchmark: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    for i, heading in enumerate((benchmark, 'library', 'seeds', 'values', *_ACCURACIES, *_COSTS)):
        table.add_column(heading, justify='right' if i > 3 else 'left')
    for row in rows:
        figures = [_accuracy(row, name) for name in _ACCURACIES] + [_cost(row[name]) for name in _COSTS]
        table.add_row(row['method'], row['library'], str(row['seeds']), _values(row['values']), *figures)
    return table


def _accuracy(row: dict[str, Any], name: str) -> str:
    value, ends = row[name], row[f'{name}_ci']
    if value is None:
        return '-'
    return f'{value:.3f}' + ('' if ends is None else f' ±{(ends[1] - ends[0]) / 2:.3f}')


def _cost(value: float | None) -> str:
    return '-' if value is None else f'{value:,.0f}' if value >= 100 else f'{value:.2g}'


def _values(values: dict[str, Any]) -> str:
    """Returns the values of a row, in short: `adam 0.001 weight 0.03`."""
    rest = [f'{name} {_plain(value)}' for name, value in values.items() if name not in ('optimizer', 'rate')]
    return ' '.join([f'{values["optimizer"]} {values["rate"]:g}', *rest])


def _plain(value: Any) -> str:
    return '/'.join(map(_plain, value)) if isinstance(value, (list, tuple)) else f'{value:g}'
