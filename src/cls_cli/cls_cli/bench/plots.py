"""Plots of a report, with 95 % intervals: one file for each figure and encoder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Row = dict[str, Any]


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `skill`, `dreams`, `keeping` and `nights` as PNG files.

    Returns:
        the files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for encoder in report['encoders']:
        rows = [row for row in report['rows'] if row['encoder'] == encoder]
        for name, plot in (('skill', _skill), ('dreams', _dreams), ('keeping', _keeping), ('nights', _nights)):
            height = 1.5 + 0.3 * len(rows) if plot in (_skill, _keeping) else 4.5
            title = f'{encoder}, {report["life"]} life, {report["seeds"]} seeds, world {report["world"]}'
            file = folder / f'{name}_{encoder.replace(":", "_")}.png'
            files.append(save(file, title, partial(plot, rows=rows), height))
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
    """Returns a row's name, with its memory where rows differ by it."""
    return str(row['recipe']) if row['memory'] is None else f'{row["recipe"]} {row["memory"]:.0%}'


def _skill(axes: Axes, rows: Sequence[Row]) -> None:
    _bars(axes, rows, {'skill': 'raw skill', 'pose_gain_1': 'pose gain, 1 step', 'pose_gain_5': 'pose gain, 5 steps'})


def _keeping(axes: Axes, rows: Sequence[Row]) -> None:
    lived = [row for row in rows if row.get('matrix')]
    _bars(axes, lived, {'own_scene': 'skill in its own scene', 'forgetting': 'forgetting', 'bwt': 'backward transfer'})


def _bars(axes: Axes, rows: Sequence[Row], names: dict[str, str]) -> None:
    height = 0.8 / len(names)
    for place, (name, text) in enumerate(names.items()):
        known = [(i, row) for i, row in enumerate(rows) if row.get(name) is not None]
        values = [row[name] for _, row in known]
        errors = [_half(row, name) for _, row in known]
        axes.barh([i + place * height for i, _ in known], values, height, xerr=errors, label=text)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rows))], [label(row) for row in rows])
    axes.invert_yaxis()
    # Far below "nothing changes" the amount says nothing more.
    axes.set_xlim(left=max(axes.get_xlim()[0], -1.0))
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.legend()


def _dreams(axes: Axes, rows: Sequence[Row]) -> None:
    for row in rows:
        known = [(int(k), v, _at(row['skill_at_ci'], k)) for k, v in row['skill_at'].items() if v is not None]
        # A row that never reaches copying would only squeeze the others together.
        if known and max(value for _, value, _ in known) > 0:
            errors = [0.0 if ends is None else (ends[1] - ends[0]) / 2 for _, _, ends in known]
            axes.errorbar([k for k, _, _ in known], [v for _, v, _ in known], errors, marker='o', label=label(row))
    axes.set_xlabel('steps dreamed')
    axes.set_ylabel('skill')
    axes.axhline(0.0, color='black', linewidth=0.8)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], -0.5))
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize='small')


def _nights(axes: Axes, rows: Sequence[Row]) -> None:
    for row in rows:
        gains = [(i, gain) for i, gain in enumerate(row.get('sleep_gain') or [], 1) if gain is not None]
        if gains:
            axes.plot([i for i, _ in gains], [gain for _, gain in gains], marker='o', label=label(row))
    axes.set_xlabel('night')
    axes.set_ylabel('skill gained')
    axes.axhline(0.0, color='black', linewidth=0.8)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize='small')


def _half(row: Row, name: str) -> float:
    ends = row.get(f'{name}_ci')
    return 0.0 if ends is None else (ends[1] - ends[0]) / 2


def _at(ends: dict[str, Any] | None, k: str) -> Any:
    return None if ends is None else ends[k]
