"""Plots of a report: accuracy on the tasks so far over the stream, and final, anytime and worst accuracy."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes

from ..learning.plots import save
from .evaluator import POINTS
from .rows import OURS, WORLD_BENCHMARKS

_METRICS = ('final', 'anytime', 'worst')


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes two PNG files a benchmark, `continual_curve_NAME` and `continual_final_NAME`; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in dict.fromkeys(row['benchmark'] for row in report['rows']):
        rows = [row for row in report['rows'] if row['benchmark'] == name]
        title = f'{name}, mean over seeds; dashed: Avalanche'
        curves, finals = partial(_curves, rows=rows), partial(_finals, rows=rows)
        files.append(save(folder / f'continual_curve_{name}.png', title, curves, 6.0))
        files.append(save(folder / f'continual_final_{name}.png', name, finals, 1.5 + 0.3 * len(rows)))
    return files


def _unit(rows: list[dict[str, Any]]) -> str:
    return 'skill' if rows[0]['benchmark'] in WORLD_BENCHMARKS else 'accuracy'


def _curves(axes: Axes, rows: list[dict[str, Any]]) -> None:
    methods = list(dict.fromkeys(row['method'] for row in rows))
    # Figures of an earlier run of Avalanche have no curve.
    for row in (row for row in rows if row.get('curve')):
        line = '-' if row['library'] == OURS else '--'
        colour = colormaps['tab20'](methods.index(row['method']) % 20)
        tasks = [(k + 1) / POINTS for k in range(len(row['curve']))]
        axes.plot(tasks, row['curve'], line, color=colour, label=row['method'] if line == '-' else None)
    axes.set_xlabel('tasks learned')
    axes.set_ylabel(f'{_unit(rows)}, mean over the tasks so far')
    axes.legend(ncols=2, fontsize='small')


def _finals(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for shift, name in zip((-0.25, 0.0, 0.25), _METRICS):
        for at, row in enumerate(rows):
            if row[name] is None:
                continue
            low, high = row[f'{name}_ci'] or (row[name], row[name])
            axes.plot([low, high], [at + shift] * 2, color='0.6')
        known = [(row[name], at + shift) for at, row in enumerate(rows) if row[name] is not None]
        axes.plot(*zip(*known), 'o', markersize=4, label=name)
    axes.set_yticks(range(len(rows)), [f'{row["method"]} ({row["library"]})' for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f'{_unit(rows)}, with 95 % interval')
    axes.legend()
