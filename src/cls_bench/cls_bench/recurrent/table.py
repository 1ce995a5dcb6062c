"""Console tables of a report."""

from typing import Any

from rich.console import Console
from rich.table import Table

from .late_robot import DELAY


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the summary, the costs, BPTT beside them, and what was learned of chains and of the late robot."""
    for line in report['summary']:
        console.print(f'- {line}', highlight=False)
    for units in dict.fromkeys(row['units'] for row in report['costs']):
        console.print(_costs([row for row in report['costs'] if row['units'] == units], units))
    console.print(_bptt(report['bptt']))
    for signal in dict.fromkeys(row['signal'] for row in report['learned']):
        console.print(_learned([row for row in report['learned'] if row['signal'] == signal], signal))
    console.print(_late(report))


def _costs(rows: list[dict[str, Any]], units: int) -> Table:
    table = _table(
        f'{units} units', 'pruned', 'width', 'silent', 'flat', 'zeros', 'dense', 'executed', 'fewer', 'effective',
        'fewer', 'kB', 'us', 'speed', 'error',
    )  # fmt: skip
    slowest = rows[0]['seconds']  # of dense without pruning
    for row in rows:
        table.add_row(
            row['agent'], _share(row['weight_sparsity']), f'{row["width"]:g}' if row['cell'] == 'event_gru' else '-',
            _share(row['silent']), _share(row['flat']), _share(row['zeros']),
            *(text for name in ('dense', 'executed', 'effective') for text in _operations(row, name)),
            f'{row["bytes"] / 1e3:.0f}', f'{row["seconds"] * 1e6:.0f}', f'{slowest / row["seconds"]:.1f}',
            f'{row["error"]:.0e}',
        )  # fmt: skip
    return table


def _operations(row: dict[str, Any], name: str) -> tuple[str, ...]:
    count = f'{row[name] / 1e3:.0f}k'
    return (count,) if name == 'dense' else (count, f'{row["dense"] / max(row[name], 1):.1f}x')


def _bptt(rows: list[dict[str, Any]]) -> Table:
    table = _table('BPTT', 'units', 'pruned', 'length', 'kB', 'us a step')
    for row in rows:
        table.add_row(
            row['cell'], str(row['units']), _share(row['weight_sparsity']), str(row['length']),
            f'{row["bytes"] / 1e3:.0f}', f'{row["seconds"] * 1e6:.0f}',
        )  # fmt: skip
    return table


def _learned(rows: list[dict[str, Any]], signal: str) -> Table:
    lengths = list(dict.fromkeys(row['length'] for row in rows))
    table = _table(f'right answers, error: {signal}', *(str(length) for length in lengths), 'silent', 'zeros', 's')
    for agent in dict.fromkeys(row['agent'] for row in rows):
        own = [row for row in rows if row['agent'] == agent]
        longest = own[-1]
        table.add_row(
            agent, *(_with_interval(row) for row in own), _share(longest['silent']), _share(longest['zeros']),
            f'{longest["seconds"]:.0f}',
        )  # fmt: skip
    return table


def _late(report: dict[str, Any]) -> Table:
    table = _table(f'error, answers {DELAY} steps late', 'first quarter', 'last quarter', 'updates', 's')
    for row in report['late']:
        table.add_row(
            row['agent'], _with_interval(row, 'early_error'), _with_interval(row, 'error'), f'{row["updates"]:.0f}',
            f'{row["seconds"]:.0f}',
        )  # fmt: skip
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    for i, heading in enumerate(headings):
        table.add_column(heading, justify='right' if i else 'left')
    return table


def _with_interval(row: dict[str, Any], name: str = 'accuracy') -> str:
    ends = row[f'{name}_ci']
    half = '' if ends is None else f' ±{(ends[1] - ends[0]) / 2:.2f}'
    return f'{row[name]:.2f}{half}'


def _share(value: float) -> str:
    return f'{100 * value:.0f} %'
