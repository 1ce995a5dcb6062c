"""Console table of a report."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from ..targets import show_targets
from .solving import CONFIRMING, FOLLOWING

_COLUMNS = (
    ('steps until solved', 'solved_steps'), ('worst', 'solved_worst'), ('best return', 'best_return'),
    ('seconds', 'seconds'), ('ops act', 'ops_act'), ('ops learn', 'ops_learn'), ('spike rate', 'spike_rate'),
    ('model error', 'model_error'),
)  # fmt: skip


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the targets, a line each, then one table: medians of steps and other means, with 95 % intervals."""
    show_targets(report['targets'], console, _number)
    console.print(
        f'\nsolved: {CONFIRMING} greedy episodes reach the mean of the task, and {FOLLOWING} further rounds keep it; '
        'steps: median [95 % interval]', highlight=False,
    )  # fmt: skip
    if report['peers_date']:
        console.print(f'peer figures of {report["peers_date"]}', highlight=False)
    table = Table(box=None, pad_edge=False, header_style='bold')
    for heading in ('environment', 'agent', 'solved', *(heading for heading, _ in _COLUMNS)):
        table.add_column(heading, justify='left' if heading in ('environment', 'agent') else 'right')
    for row in report['rows']:
        figures = [_with_interval(row[name], row.get(f'{name}_ci'), name) for _, name in _COLUMNS]
        table.add_row(row['env'], row['agent'], f'{row["solved"]} of {row["seeds"]}', *figures)
    console.print(table)


def _with_interval(value: float | None, ends: list[float | None] | None, name: str) -> str:
    is_steps = name.startswith('solved')
    text = _number(value, is_steps)
    if ends is None:
        return text
    if is_steps:
        return f'{text} [{_number(ends[0], True)}, {_number(ends[1], True)}]'
    low, high = ends
    return text if low is None or high is None else f'{text} ±{_number((high - low) / 2, False)}'


def _number(value: float | None, is_never: bool) -> str:
    """Returns a number as text; None is `never` for steps, which have no other."""
    if value is None or math.isnan(value):
        return 'never' if is_never else '-'
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
