"""Console tables of a report."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

_COLUMNS: Final = (
    ('200 steps', 'coverage_200'), ('500', 'coverage_500'), ('end', 'coverage'), ('noise', 'noise_ratio'),
    ('late', 'noise_ratio_late'), ('corner', 'corner_steps_median'), ('worst', 'corner_steps_worst'),
    ('other side', 'other_side_steps'), ('large moves', 'large_moves'), ('model', 'model_skill'),
    ('over random', 'skill_over_random'), ('s', 'seconds'),
)  # fmt: skip


def show(report: dict[str, Any], console: Console) -> None:
    """Prints a table for each environment, means over starts with half the 95 % interval, then the targets."""
    console.print(f'{report["starts"]} starts in {report["seeds"]} scenes; coverage of 10-degree cells')
    for encoder, targets in report['targets'].items():
        for world, steps in report['worlds'].items():
            rows = [row for row in report['rows'] if (row['encoder'], row['world']) == (encoder, world)]
            console.print(_table(f'{world}, {steps} steps, {encoder}', rows))
        table = Table(box=None, pad_edge=False, header_style='bold')
        for heading in (f'target, {encoder}', 'bound', 'measured', ''):
            table.add_column(heading)
        for target in targets:
            met = {True: 'met', False: 'missed', None: 'not run'}[target['met']]
            table.add_row(target['target'], target['bound'], _text(target['value']), met)
        console.print(table)


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    table.add_column(title)
    shown = [(heading, name) for heading, name in _COLUMNS if any(row.get(name) is not None for row in rows)]
    for heading, _ in shown:
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(row['reward'], *(_with_interval(row[name], row.get(f'{name}_ci')) for _, name in shown))
    return table


def _with_interval(value: float | None, ends: list[float] | None) -> str:
    half = '' if ends is None else f' ±{_text((ends[1] - ends[0]) / 2)}'
    return f'{_text(value)}{half}'


def _text(value: float | None) -> str:
    if value is None:
        return '-'
    return f'{value:.2f}' if abs(value) < 10 else f'{value:.0f}'
