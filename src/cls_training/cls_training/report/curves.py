"""Curves of training.log as drawings (SVG) that take the colours of the page."""

from collections.abc import Mapping, Sequence
import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas
import numpy as np
from numpy.typing import NDArray

from .page import Figure

# Stands for the colour of the page's text, which is light or dark.
_TEXT = '#010203'
_LINE, _KEPT, _REFUSED = '#4a7bd0', '#8a8f98', '#d2483f'
# Points of a curve at most; each is a mean. Of them the running mean.
_POINTS, _SMOOTH = 400, 15
_MOST = 18
SLEEPS = ('sleep', 'rolled_back')
Rows = Sequence[Mapping[str, str]]


def curves(rows: Rows, columns: Sequence[str]) -> list[Figure]:
    """Returns a drawing of each column that has at least two different values; sleeps are vertical lines.

    Args:
        rows: of training.log. columns: those to draw, the most important first.
    """
    sleeps = [(float(row['step']), row['event']) for row in rows if row['event'] in SLEEPS and row['step']]
    found: list[Figure] = []
    for name in columns:
        points = _values(rows, name)
        if len(np.unique(points[:, 1])) > 1 and len(found) < _MOST:
            found.append(_draw(name, points, sleeps))
    return found


def _values(rows: Rows, name: str) -> NDArray[np.float64]:
    """Returns the points (P, 2) of a column: step and value."""
    points = [(float(row['step']), float(row[name])) for row in rows if row.get(name) and row['step']]
    return np.array([point for point in points if np.isfinite(point[1])]).reshape(-1, 2)


def _draw(name: str, points: NDArray[np.float64], sleeps: Sequence[tuple[float, str]]) -> Figure:
    style: Any = {
        'text.color': _TEXT, 'axes.edgecolor': _TEXT, 'axes.labelcolor': _TEXT, 'xtick.color': _TEXT,
        'ytick.color': _TEXT, 'svg.fonttype': 'none', 'svg.hashsalt': name, 'font.family': 'sans-serif',
        'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False,
    }  # fmt: skip
    with rc_context(style):
        canvas = Canvas(figsize=(4.6, 2.3), layout='constrained')
        axes = canvas.subplots()
        for step, event in sleeps:
            axes.axvline(step, color=_KEPT if event == 'sleep' else _REFUSED, linewidth=1.2, linestyle=':')
        if len(points) <= len(sleeps) + 1:
            axes.plot(*points.T, 'o-', color=_LINE, markersize=3)
        else:
            points = _thinned(points)
            axes.plot(*points.T, color=_LINE, linewidth=0.6, alpha=0.45)
            axes.plot(points[:, 0], _running_mean(points[:, 1]), color=_LINE, linewidth=1.6)
        axes.set_title(name, loc='left', fontsize=9)
        axes.set_xlabel('step')
        low, high = np.quantile(points[:, 1], (0.01, 0.99))
        if high > low:  # one outlier does not flatten all the rest
            axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
        buffer = io.StringIO()
        canvas.savefig(
            buffer, format='svg', transparent=True, metadata=dict.fromkeys(('Date', 'Creator', 'Format', 'Type'))
        )
    svg = buffer.getvalue()
    svg = re.sub(r'\s(width|height)="[\d.]+pt"', '', svg[svg.index('<svg') :].replace(_TEXT, 'currentColor'), count=2)
    # Names of parts must differ between the drawings of a page.
    svg = re.sub(r' id="(figure|axes|patch|text|line2d|matplotlib\.axis|xtick|ytick)_\d+"', '', svg)
    return Figure(svg)


def _thinned(points: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(points) <= _POINTS:
        return points
    return np.array([part.mean(0) for part in np.array_split(points, _POINTS)])


def _running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = min(_SMOOTH, max(1, len(values) // 4))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), 'edge')
    return np.convolve(padded, np.full(width, 1 / width), 'valid')
