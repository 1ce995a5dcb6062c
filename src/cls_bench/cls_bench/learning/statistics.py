"""Means over seeds and their 95 % intervals."""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

CONFIDENCE = 0.95


def clean(value: Any) -> Any:
    """Returns plain JSON values: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(name): clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def mean(values: Sequence[Any], of: Callable[[Sequence[float]], Any] = np.mean) -> Any:
    """Mean over seeds of one metric: a number, or a list or mapping of numbers; None where a seed has none.

    Args:
        of: statistic to take instead of the mean.
    """
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Mapping):
        return {name: mean([value and value.get(name) for value in values], of) for name in first}
    if isinstance(first, list):
        return [mean([value and _at(value, i) for value in values], of) for i in range(len(first))]
    if isinstance(first, str):
        return first if all(value == first for value in values) else None
    known = [value for value in values if value is not None]
    return float(of(known)) if known and len(known) == len(values) else None


def interval(values: Sequence[Any]) -> Any:
    """95 % interval of the mean over seeds (Student's t), [low, high]; None with fewer than two."""
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Mapping):
        return {name: interval([value and value.get(name) for value in values]) for name in first}
    if isinstance(first, list):
        return [interval([value and _at(value, i) for value in values]) for i in range(len(first))]
    if isinstance(first, str) or len(values) < 2 or any(value is None for value in values):
        return None
    middle, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * error
    return [middle - half, middle + half]


def median_interval(values: Sequence[float]) -> list[float] | None:
    """Returns a distribution-free interval of the median, of at least 95 %, by ranks; None with fewer than six."""
    count = len(values)
    rank = int(stats.binom.ppf((1 - CONFIDENCE) / 2, count, 0.5)) - 1
    ordered = sorted(values)
    return [ordered[rank], ordered[count - 1 - rank]] if rank >= 0 else None


def summary(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns each metric's mean over seeds, and its interval as `<name>_ci`.

    A metric `<name>_worst` is the minimum over seeds, without an interval.
    """
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in metrics for name in each):
        values = [each.get(name) for each in metrics]
        is_worst = name.endswith('_worst')
        found[name] = mean(values, min if is_worst else np.mean)
        found[f'{name}_ci'] = None if is_worst else interval(values)
    return found


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else None
