"""Plots of a report: R2 on the dot while it is learned, and the figures of each row."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes

from ..learning.plots import save
from .recipes import CORRIDOR, DOT, ROOM
from .report import figure

_LOWEST = -0.5
# Labels of bars and their figures.
_BARS: Final = {
    DOT: {'R2, 1 step': 'r2_unseen', 'R2, 10 steps': 'r2_at.10', 'R2 gap between actions': 'r2_gap'},
    CORRIDOR: {'goals reached': 'reached'},
    ROOM: {'pose gain, 1 step': 'pose_gain_1', 'pose gain, 5 steps': 'pose_gain_5', 'forgetting': 'forgetting'},
}


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `developmental_dot_curve.png`, `developmental_dot.png`, `developmental_room.png` and
    `developmental_corridor.png`, of what was run.

    Returns:
        the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run for run in report['runs'] if run['world'] == DOT]
    files = []
    if runs:
        title = 'dot, R2 of one step on unseen rows, one line a seed'
        files.append(save(folder / 'developmental_dot_curve.png', title, partial(_curves, runs=runs)))
    for world, title in ((DOT, 'dot, unseen rows'), (ROOM, 'room, five scenes'), (CORRIDOR, 'corridor')):
        rows = [row for row in report['rows'] if row['world'] == world]
        if rows:
            plot = partial(_bars, rows=rows, names=_BARS[world])
            files.append(save(folder / f'developmental_{world}.png', title, plot, 1.5 + 0.4 * len(rows)))
    return files


def _curves(axes: Axes, runs: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(run['recipe'] for run in runs if run.get('r2_over_time')))
    for run in (run for run in runs if run.get('r2_over_time')):
        points = sorted((float(seconds), r2) for seconds, r2 in run['r2_over_time'].items())
        is_first = run is next(other for other in runs if other['recipe'] == run['recipe'])
        axes.plot(
            *zip(*points), color=f'C{names.index(run["recipe"]) % 10}', label=run['recipe'] if is_first else None
        )  # fmt: skip
    axes.axhline(0.0, color='black', linewidth=0.8)
    axes.set_ylim(_LOWEST, 1.02)
    axes.set_xlabel('processor seconds')
    axes.set_ylabel('R2')
    if names:
        axes.legend()


def _bars(axes: Axes, rows: list[dict[str, Any]], names: Mapping[str, str]) -> None:
    largest = 1.0
    for shift, (label, path) in zip((-0.25, 0.0, 0.25), names.items()):
        values = [figure(row, path) for row in rows]
        known = [(at, value) for at, value in enumerate(values) if value is not None]
        largest = max([largest, *(value for _, value in known)])
        axes.barh([at + shift for at, _ in known], [value for _, value in known], 0.25, label=label)
    axes.set_yticks(range(len(rows)), [row['recipe'] for row in rows])
    axes.invert_yaxis()
    # Without a limit on the right, long bars to the left would leave room there.
    axes.set_xlim(_LOWEST, 1.05 * largest)
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.legend()
