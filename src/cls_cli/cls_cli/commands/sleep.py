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


def _old_option(name: str) -> Callable[[F], F]:
    return click.option(f'--{name}', default=None, type=click.IntRange(-1), hidden=True)


@click.command('sleep', epilog=examples('./cls sleep', './cls sleep --phase sws=100 --phase rem=-1'))
@click.option(
    '--phase',
    'phases',
    multiple=True,
    metavar='NAME=N',
    show_default='as configured',
    help='Number of steps of a phase of the brain; -1 skips it. This option may be repeated.',
)
@_old_option('sws')
@_old_option('rem')
@_old_option('tether')
@options.namespace
def command(phases: tuple[str, ...], namespace: str, **old: int | None) -> int:
    """Put the learner to sleep, and show the progress.

    Ctrl-C ends the sleep and discards what it changed.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from cls_bringup.nodes.graph_client import connect

    steps = dict(map(parse_phase, phases)) | _read_old(old)
    columns = TextColumn('{task.description:<7}'), BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[loss]}')
    with Interrupts() as interrupts, connect(namespace) as client, Progress(*columns) as progress:
        tasks: dict[str, Any] = {}

        def on_feedback(feedback: Any) -> None:
            if feedback.phase not in tasks:
                tasks[feedback.phase] = progress.add_task(feedback.phase, loss='')
            task = tasks[feedback.phase]
            progress.update(task, total=feedback.steps, completed=feedback.step, loss=f'loss {feedback.loss:.4g}')

        goal = client.sleep(steps, on_feedback)
        result = _await(goal, interrupts)
    return _conclude(result)


def parse_phase(text: str) -> tuple[str, int]:
    """Reads NAME=N; raises UserError for another text."""
    name, _, count = text.partition('=')
    if not name or not count.removeprefix('-').isdecimal() or int(count) < -1:
        raise UserError(f'phase {text!r}', expected='NAME=N, such as rem=50 or rem=-1')
    return name, int(count)


def _read_old(old: dict[str, int | None]) -> dict[str, int]:
    given = {name: count for name, count in old.items() if count is not None}
    for name, count in given.items():
        click.echo(f'note: `./cls sleep --{name} {count}` is now `./cls sleep --phase {name}={count}`', err=True)
    return given


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
    if result.phases:
        print('steps: ' + ', '.join(f'{name} {steps}' for name, steps in zip(result.phases, result.steps)))
    for metric in result.metrics:
        if math.isfinite(metric.value):
            print(f'{metric.name:<16} {metric.value:.6g}')
    print(f'took {result.duration:.1f} s')
    return 0 if result.error_code == 0 else 1


def error_name(result: Any) -> str:
    """Returns the name of a Sleep result's error code in words; 'slept' for none."""
    if result.error_code == result.NONE:
        return 'slept'
    constants = [name for name in dir(type(result)) if name.isupper()]
    found = (name for name in constants if getattr(result, name, None) == result.error_code)
    return next(found, 'unknown error').lower().replace('_', ' ')
