"""Durations of steps, by the stamps of what was sensed."""

from cls_common.transition import Transition


def elapsed_in(transition: Transition, step_duration: float) -> float:
    """Returns the duration of a step in nominal ones of `step_duration` seconds.

    1 where there is no nominal duration or where the stamps do not rise.
    """
    return transition.duration / step_duration if step_duration > 0.0 and transition.duration > 0.0 else 1.0
