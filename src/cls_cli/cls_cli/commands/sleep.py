"""`sleep`: one sleep of the running graph."""

from collections.abc import Callable
import math
from typing import Any, TypeVar

import click

from cls_bringup.interrupts import Interrupts
from cls_common.errors import UserError

from .. import options
from ..invocation import examples

_TURN = 0.2
# After a cancel the learner restores its state.
_CANCEL_TIMEOUT = 30.0
# Discovery may lose a server for a moment.
_GONE_TIMEOUT = 3.0
F = TypeVar('F', bound=Callable[..., Any])
_MEASURES = ('avg_l_dyn', 'avg_l_sws', 'avg_l_ms', 'avg_l_rem', 'avg_tether_loss')


def _steps(name: str, phase: str) -> Callable[[F], F]:
    text = f'Number of steps of {phase}; -1 skips it.'
    return click.option(
        f'--{name}', default=0, type=click.IntRange(-1), metavar='N', help=text, show_default='as configured'
    )


@click.command('sleep', epilog=examples('./cls sleep', './cls sleep --sws 100 --rem -1'))
@_steps('sws', 'slow-wave sleep')
@_steps('rem', 'REM sleep')
@_steps('tether', 'Tether, which pulls the fast model towards the slow one')
@options.namespace
def command(sws: int, rem: int, tether: int, namespace: str) -> int:
    """Put the learner to sleep, and show the progress.

    Ctrl-C ends the sleep and discards what it changed.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from cls_bringup.nodes.remote import connect

    columns = TextColumn('{task.description:<7}'), BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[loss]}')
    with Interrupts() as interrupts, connect(namespace) as remote, Progress(*columns) as progress:
        tasks: dict[str, Any] = {}

        def on_feedback(feedback: Any) -> None:
            if feedback.phase not in tasks:
                tasks[feedback.phase] = progress.add_task(feedback.phase, loss='')
            task = tasks[feedback.phase]
            progress.update(task, total=feedback.steps, completed=feedback.step, loss=f'loss {feedback.loss:.4g}')

        goal = remote.sleep(sws, rem, tether, on_feedback)
        result = _await(goal, interrupts)
    return _conclude(result)


def _await(goal: Any, interrupts: Interrupts) -> Any | None:
    cancelled = unserved = 0.0
    while cancelled < _CANCEL_TIMEOUT:
        if result := goal.wait(_TURN):
            return result
        unserved = 0.0 if goal.is_served else unserved + _TURN
        if unserved > _GONE_TIMEOUT:
            raise UserError('slow_learner is gone', do='The model is as before this sleep; `./cls up` continues it.')
        if interrupts.count and not cancelled:
            print('waking up …')
            goal.cancel()
        if interrupts.count:
            cancelled += _TURN
    return None


def _conclude(result: Any | None) -> int:
    if result is None:
        print('error: no answer to the cancel')
        return 1
    name = error_name(result)
    print(f'{name} (error code {result.error_code}){": " + result.error_msg if result.error_msg else ""}')
    if result.status:
        print(result.status)
    print(f'steps: sws {result.sws_steps}, rem {result.rem_steps}, tether {result.tether_steps}')
    for measure in _MEASURES:
        value = getattr(result, measure)
        if math.isfinite(value):
            print(f'{measure:<16} {value:.6g}')
    for line in gate_lines(result):
        print(line)
    print(f'took {result.duration:.1f} s')
    return 0 if result.error_code == 0 else 1


def gate_lines(result: Any) -> list[str]:
    """Returns the scores of the gate as lines; none without held-out transitions."""
    if not result.probes:
        return []
    slow = f'slow {result.skill_before:.3f} -> {result.skill_after:.3f}'
    fast = f'fast {result.fast_before:.3f} -> {result.fast_after:.3f}'
    change = f'{result.change:+.3f} [{result.change_low:+.3f}, {result.change_high:+.3f}]'
    return [f'skill on {result.probes} held-out transitions: {slow}, {fast}', f'change of slow {change}']


def error_name(result: Any) -> str:
    """Returns the name of a Sleep result's error code in words; 'slept' for none."""
    if result.error_code == result.NONE:
        return 'slept'
    constants = [name for name in dir(type(result)) if name.isupper()]
    found = (name for name in constants if getattr(result, name, None) == result.error_code)
    return next(found, 'unknown error').lower().replace('_', ' ')
