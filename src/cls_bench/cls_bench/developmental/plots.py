"""Plots of a report: R2 on the dot while it learns, and the figures of each row."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..learning.plots import save
from .recipes import DOT

_LOWEST = -0.5


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `developmental_dot_curve.png` and `developmental_dot.png` where the dot was run; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run for run in report['runs'] if run['world'] == DOT]
    rows = [row for row in report['rows'] if row['world'] == DOT]
    if not rows:
        return []
    title = 'dot, R2 of one step on unseen rows, one line a seed'
    return [
        save(folder / 'developmental_dot_curve.png', title, partial(_curves, runs=runs)),
        save(folder / 'developmental_dot.png', 'dot, unseen rows', partial(_bars, rows=rows), 1.5 + 0.4 * len(rows)),
    ]


def _curves(axes: Axes, runs: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(run['recipe'] for run in runs if run.get('r2_over_time')))
    for run in (run for run in runs if run.get('r2_over_time')):
        points = sorted((float(seconds), r2) for seconds, r2 in run['r2_over_time'].items())
        is_first = run is next(other for other in runs if other['recipe'] == run['recipe'])
        axes.plot(
            *zip(*points), color=f'C{names.index(run["recipe"]) % 10}', label=run['recipe'] if is_first else None
        )  # fmt: skip
    axes.axhline(0.0, color='black', linewidth=0.8)
    axes.set_ylim(_LOWEST, 1.0)
    axes.set_xlabel('processor seconds')
    axes.set_ylabel('R2')
    if names:
        axes.legend()


def _bars(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for shift, (label, values) in zip(
        (-0.25, 0.0, 0.25),
        (
            ('1 step', [row['r2_unseen'] for row in rows]),
            ('10 steps', [(row['r2_at'] or {}).get('10') for row in rows]),
            ('gap between actions', [row['r2_gap'] for row in rows]),
        ),
    ):
        known = [(at, value) for at, value in enumerate(values) if value is not None]
        axes.barh([at + shift for at, _ in known], [value for _, value in known], 0.25, label=label)
    axes.set_yticks(range(len(rows)), [row['recipe'] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=_LOWEST)
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.set_xlabel('R2')
    axes.legend()
