"""Plots of a report: the return over real steps, and the steps until solved."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..learning.plots import save

_COLOURS = ('C0', 'C1', 'C2', 'C3', 'C4', 'C5', 'C6', 'C7', 'C8', 'C9')


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes two PNG files an environment, `control_returns_ENV` and `control_steps_ENV`; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in dict.fromkeys(row['env'] for row in report['rows']):
        rows = [row for row in report['rows'] if row['env'] == name]
        runs = [run for run in report['runs'] if run['env'] == name]
        agents = [row['agent'] for row in rows]
        returns = partial(_returns, runs=runs, agents=agents)
        files.append(save(folder / f'control_returns_{name}.png', f'{name}, one line a seed', returns))
        title = f'{name}, one mark a seed, line at the median'
        steps = partial(_steps, runs=runs, rows=rows)
        files.append(save(folder / f'control_steps_{name}.png', title, steps, 1.5 + 0.4 * len(rows)))
    return files


def _returns(axes: Axes, runs: list[dict[str, Any]], agents: list[str]) -> None:
    for run in sorted(runs, key=lambda run: agents.index(run['agent'])):
        at = agents.index(run['agent'])
        is_first = run is next(other for other in runs if other['agent'] == run['agent'])
        points = sorted((int(steps), value) for steps, value in run['return_at'].items())
        axes.plot(*zip(*points), color=_COLOURS[at % 10], alpha=0.6, label=run['agent'] if is_first else None)
    axes.set_xscale('log')
    axes.set_xlabel('real steps')
    axes.set_ylabel('mean return of greedy episodes')
    axes.legend()


def _steps(axes: Axes, runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    for at, row in enumerate(rows):
        steps = [run['solved_steps'] for run in runs if run['agent'] == row['agent'] and run['solved_steps']]
        axes.plot(steps, [at] * len(steps), 'o', color=_COLOURS[at % 10], alpha=0.6)
        if row['solved_steps'] is not None:
            axes.plot([row['solved_steps']] * 2, [at - 0.3, at + 0.3], color=_COLOURS[at % 10])
    axes.set_yticks(range(len(rows)), [f'{row["agent"]} ({row["solved"]} of {row["seeds"]})' for row in rows])
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.set_xlabel('real steps until solved')
