"""Console tables of a report, one for each world."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from ..targets import show_targets
from .recipes import CORRIDOR, DOT, ROOM
from .report import figure

# Headings and names of figures; `r2_at.10` is a part of `r2_at`.
_COSTS: Final = (
    ('wall s', 'seconds'), ('processor s', 'processor_seconds'), ('steps', 'steps'), ('restarts', 'restarts'),
    ('sleeps', 'sleeps'), ('s a step', 'seconds_a_step'),
)  # fmt: skip
_COLUMNS: Final = {
    DOT: (
        ('R2 unseen', 'r2_unseen'), ('seen', 'r2'), ('k = 3', 'r2_at.3'), ('k = 10', 'r2_at.10'), ('gap', 'r2_gap'),
        ('nearest', 'nearest_action'), ('object px', 'object_error_px'), *_COSTS,
    ),
    ROOM: (
        ('pose gain 1', 'pose_gain_1'), ('pose gain 5', 'pose_gain_5'), ('own scene', 'own_scene'),
        ('forgetting', 'forgetting'), ('bwt', 'bwt'), *_COSTS,
    ),
    CORRIDOR: (
        ('reached', 'reached'), ('shortest', 'distance'), ('actions', 'actions'), ('ms an action', 'planning_ms'),
        ('predictions an action', 'evaluations'), ('processor s', 'seconds'),
    ),
}  # fmt: skip
_NOTES: Final = {
    DOT: 'dot: R2 on rows in which no episode starts, one step unless k is given; seen: on those in which they start; '
    'gap: R2 of the true action above that of the other; nearest: share in which the true one is the nearer',
    CORRIDOR: 'corridor: share of goals reached; mean of the shortest paths, and actions where the goal was reached',
    ROOM: 'room: pose gain at the end of all scenes; own scene: right after each; forgetting and bwt: of one step',
}


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the targets, a line each, then a table for each world: means over seeds with 95 % intervals."""
    show_targets(report['targets'], console)
    if report['peers_date']:
        console.print(f'figures of torch-world of {report["peers_date"]}', highlight=False)
    for world in dict.fromkeys(row['world'] for row in report['rows']):
        console.print(f'\n{_NOTES[world]}', highlight=False)
        table = Table(box=None, pad_edge=False, header_style='bold')
        for i, heading in enumerate((world, 'seeds', *(heading for heading, _ in _COLUMNS[world]))):
            table.add_column(heading, justify='right' if i else 'left')
        for row in (row for row in report['rows'] if row['world'] == world):
            table.add_row(row['recipe'], str(row['seeds']), *(_figure(row, name) for _, name in _COLUMNS[world]))
        console.print(table)


def _figure(row: Mapping[str, Any], path: str) -> str:
    name, dot, part = path.partition('.')
    value, ends = figure(row, path), figure(row, f'{name}_ci{dot}{part}')
    if value is None:
        return '-'
    return _number(value) + ('' if ends is None else f' ±{_number((ends[1] - ends[0]) / 2)}')


def _number(value: float) -> str:
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3f}' if value % 1 else f'{value:g}'
