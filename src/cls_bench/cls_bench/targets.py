"""Targets of a benchmark: what was measured beside its bound, met or missed, in a report and as printed lines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console

_MET: Final = {True: 'met', False: 'missed', None: 'not run'}


def target(text: str, value: float | None, sign: str, bound: float) -> dict[str, Any]:
    """Returns one target as plain values; `met` is None where it was not run.

    Args:
        value: what was measured; None: it was not run. sign: '<=' or '>='.
    """
    return {
        'target': text,
        'value': value,
        'bound': f'{sign} {bound:g}',
        'met': None if value is None else value <= bound if sign == '<=' else value >= bound,
    }


def show_targets(
    targets: Sequence[Mapping[str, Any]], console: Console, number: Callable[[float | None, bool], str] | None = None
) -> None:
    """Prints targets, a line each.

    Args:
        number: returns a value as text, given whether the target is missed; three signed places without it.
    """
    for each in targets:
        value = (number or _signed)(each['value'], each['met'] is False)
        console.print(f'{_MET[each["met"]]:8}{each["target"]}: {value} (target {each["bound"]})', highlight=False)


def _signed(value: float | None, _: bool) -> str:
    return '-' if value is None else f'{value:+.3f}'
