"""Plots of a report with 95 % intervals: one file for each metric and encoder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Row = dict[str, Any]


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `skill`, `dreams`, `keeping` and `sleeps` as PNG files.

    Returns:
        the files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for encoder in report['encoders']:
        rows = [row for row in report['rows'] if row['encoder'] == encoder]
        for name, plot in (('skill', _skill), ('dreams', _dreams), ('keeping', _keeping), ('sleeps', _sleeps)):
            height = 1.5 + 0.3 * len(rows) if plot in (_skill, _keeping) else 4.5
            title = f'{encoder}, {report["life"]} stream, {report["seeds"]} seeds, world {report["world"]}'
            file = folder / f'{name}_{encoder.replace(":", "_")}.png'
            files.append(save(file, title, partial(plot, rows=rows), height))
    return files


def draw_environments(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `worlds`, the skill of each row in each environment, one PNG file an encoder; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    reports = list(report['worlds'].values())
    files = []
    for encoder in reports[0]['encoders']:
        by_row: dict[str, list[Row]] = {}
        for row in (row for each in reports for row in each['rows'] if row['encoder'] == encoder):
            by_row.setdefault(row['recipe'], []).append(row)
        plot = partial(_worlds, names=[each['name'] for each in reports], by_row=by_row)
        file = folder / f'worlds_{encoder.replace(":", "_")}.png'
        files.append(save(file, f'{encoder}, {reports[0]["seeds"]} seeds', plot, 1.5 + 0.6 * len(reports)))
    return files


def save(file: Path, title: str, plot: Callable[[Axes], None], height: float = 5.0) -> Path:
    """Writes one plot, 8 inches wide, and returns its file."""
    figure = Figure(figsize=(8.0, max(height, 3.0)), layout='constrained')
    axes = figure.add_subplot()
    plot(axes)
    axes.set_title(title)
    figure.savefig(file, dpi=110)
    return file


def label(row: Row) -> str:
    """Returns a row's name, with its share of memory if it has one."""
    return str(row['recipe']) if row['memory'] is None else f'{row["recipe"]} {row["memory"]:.0%}'


def _skill(axes: Axes, rows: Sequence[Row]) -> None:
    _bars(axes, rows, {'skill': 'raw skill', 'pose_gain_1': 'pose gain, 1 step', 'pose_gain_5': 'pose gain, 5 steps'})


def _keeping(axes: Axes, rows: Sequence[Row]) -> None:
    streams = [row for row in rows if row.get('matrix')]
    _bars(
        axes, streams, {'own_scene': 'skill in its own scene', 'forgetting': 'forgetting', 'bwt': 'backward transfer'}
    )


def _worlds(axes: Axes, names: Sequence[str], by_row: dict[str, list[Row]]) -> None:
    height = 0.8 / len(by_row)
    for place, (recipe, rows) in enumerate(by_row.items()):
        values, errors = [row['skill'] for row in rows], [_half(row, 'skill') for row in rows]
        axes.barh([i + place * height for i in range(len(rows))], values, height, xerr=errors, label=recipe)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlim(left=max(axes.get_xlim()[0], -1.0))
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.set_xlabel('skill')
    axes.legend()


def _bars(axes: Axes, rows: Sequence[Row], names: dict[str, str]) -> None:
    height = 0.8 / len(names)
    for place, (name, text) in enumerate(names.items()):
        known = [(i, row) for i, row in enumerate(rows) if row.get(name) is not None]
        values = [row[name] for _, row in known]
        errors = [_half(row, name) for _, row in known]
        axes.barh([i + place * height for i, _ in known], values, height, xerr=errors, label=text)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rows))], [label(row) for row in rows])
    axes.invert_yaxis()
    # Skills far below copying are not distinguished.
    axes.set_xlim(left=max(axes.get_xlim()[0], -1.0))
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.legend()


def _dreams(axes: Axes, rows: Sequence[Row]) -> None:
    shown = [(label(row), row['skill_at'], row['skill_at_ci'] or {}) for row in rows]
    # A row that is always worse than copying would compress the scale of the others.
    shown = [each for each in shown if max((v for v in each[1].values() if v is not None), default=0.0) > 0]
    _lines(axes, [(name, [(float(k), v, ends.get(k)) for k, v in at.items()]) for name, at, ends in shown])
    axes.set_xlabel('steps predicted')
    axes.set_ylabel('skill')
    axes.set_ylim(bottom=max(axes.get_ylim()[0], -0.5))


def _sleeps(axes: Axes, rows: Sequence[Row]) -> None:
    shown = [(label(row), row['sleep_gain'], row['sleep_gain_ci']) for row in rows if row.get('sleep_gain')]
    _lines(
        axes,
        [
            (name, [(float(i), gain, ends[i - 1] if ends else None) for i, gain in enumerate(gains, 1)])
            for name, gains, ends in shown
        ],
    )
    axes.set_xlabel('sleep')
    axes.set_ylabel('skill gained')
    axes.set_ylim(max(axes.get_ylim()[0], -0.5), min(axes.get_ylim()[1], 1.0))


def _lines(axes: Axes, named: Sequence[tuple[str, list[tuple[float, float | None, Any]]]]) -> None:
    """Draws points (x, y, interval or None) by name, shifted a little from each other, with the legend beside."""
    axes.set_prop_cycle(color=[colormaps['tab20'](i) for i in range(20)])
    for number, (name, points) in enumerate(named):
        known = [(x, y, ends) for x, y, ends in points if y is not None]
        errors = [0.0 if ends is None else (ends[1] - ends[0]) / 2 for _, _, ends in known]
        apart = 0.3 * (number / max(len(named) - 1, 1) - 0.5)
        axes.errorbar(
            [x + apart for x, _, _ in known],
            [y for _, y, _ in known],
            errors,
            marker='o',
            markersize=4,
            elinewidth=0.8,
            label=name,
        )
    axes.axhline(0.0, color='black', linewidth=0.8)
    if named:
        axes.legend(fontsize='small', loc='upper left', bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def _half(row: Row, name: str) -> float:
    ends = row.get(f'{name}_ci')
    return 0.0 if ends is None else (ends[1] - ends[0]) / 2
