"""Plots of a report with 95 % intervals: coverage by steps in each environment, time on noise, and model skill."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..learning.plots import save
from .walk import NOTED_EVERY

Row = dict[str, Any]


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `coverage_<world>`, `noise` and `model` for each encoder as PNG files.

    Returns:
        the files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for encoder in report['targets']:
        rows = [row for row in report['rows'] if row['encoder'] == encoder]
        plots = [(f'coverage_{name}', [r for r in rows if r['world'] == name]) for name in report['worlds']]
        for name, shown in [*plots, ('noise', [r for r in rows if r['noise_ratio'] is not None]), ('model', rows)]:
            if not shown:
                continue
            metric = {'noise': 'noise_ratio', 'model': 'model_skill'}.get(name, '')
            plot = partial(_bars, rows=shown, metric=metric) if metric else partial(_coverage, rows=shown)
            title = f'{name}, {encoder}, {report["starts"]} starts in {report["seeds"]} scenes'
            files.append(save(folder / f'{name}_{encoder.replace(":", "_")}.png', title, plot))
    return files


def _coverage(axes: Axes, rows: list[Row]) -> None:
    for number, row in enumerate(rows):
        steps = [i * NOTED_EVERY for i in range(len(row['curve']))]
        style = '-' if number < 10 else '--'
        axes.plot(steps, row['curve'], style, label=row['reward'])
        if row['curve_ci']:
            axes.fill_between(
                steps, [low for low, _ in row['curve_ci']], [high for _, high in row['curve_ci']], alpha=0.1
            )
    axes.set_xlabel('steps')
    axes.set_ylabel('share of cells visited')
    axes.set_ylim(0.0, 1.02)
    axes.legend(fontsize='small')


def _bars(axes: Axes, rows: list[Row], metric: str) -> None:
    environments = list(dict.fromkeys(row['world'] for row in rows))
    rewards = list(dict.fromkeys(row['reward'] for row in rows))
    height = 0.8 / len(environments)
    for place, environment in enumerate(environments):
        known = [row for row in rows if row['world'] == environment and row[metric] is not None]
        errors = [0.0 if row[f'{metric}_ci'] is None else row[f'{metric}_ci'][1] - row[metric] for row in known]
        at = [rewards.index(row['reward']) + place * height for row in known]
        axes.barh(at, [row[metric] for row in known], height, xerr=errors, label=environment)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rewards))], rewards)
    axes.invert_yaxis()
    # Skills far below copying are not distinguished.
    axes.set_xlim(left=max(axes.get_xlim()[0], -1.0))
    axes.axvline({'noise_ratio': 1.0}.get(metric, 0.0), color='black', linewidth=0.8)
    axes.legend(fontsize='small')
    axes.set_xlabel({'noise_ratio': 'time on noise over its share'}.get(metric, 'skill of a model on uniform steps'))
