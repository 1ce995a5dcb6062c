"""Orderly ends at random moments on a busy core: no experience may be lost, no sleep may lose its lease."""

from contextlib import ExitStack
import threading
import time
from typing import TYPE_CHECKING

from cls_bringup.orderly_end import OrderlyEnd
from cls_common.errors import UserError

from .busy_core import busy_core
from .kill_timing import await_moment, phase_of, watch_until
from .plan import Trial
from .reference import inspect
from .result import TrialResult
from .subject import Subject
from .target import TargetGraph

if TYPE_CHECKING:
    from .nodes.observer import ExperienceObserver

# s until the first step; steps before the load starts.
_STARTUP, _FIRST_STEPS = 300.0, 30
# Busy processes on the core of the graph.
LOAD = 3
# Time for messages that are under way when acting ends, s.
_UNDER_WAY = 0.4
# Logged by fast_learner when its lease ends during sleep.
_LEASE_LOST = 'silent for the whole lease'


def run_orderly_end(trial: Trial, subject: Subject) -> TrialResult:
    """Starts a graph in real time, ends it in order at the moment of the trial, and opens its model.

    `saved` ends as `./cls up` does: acting stops, the model is saved, then every process is signalled; `signalled`
    as `ros2 launch` does: every process gets SIGINT at once.
    """
    from .nodes.observer import observe

    target = TargetGraph(trial.number, subject, lock_step=False)
    problems: list[str] = []
    with ExitStack() as stack:
        stack.callback(lambda: target.close(keep_logs=bool(problems)))
        observer = stack.enter_context(observe(target.namespace, lambda _: None))
        try:
            if not watch_until(lambda: observer.count > _FIRST_STEPS, _STARTUP, target, observer):
                raise UserError(
                    f'not {_FIRST_STEPS} steps within {_STARTUP:g} s', found=observer.client.statuses().missing()
                )
            with busy_core(target.pids().values(), LOAD):
                await_moment(trial, target, observer)
                phase, rate, asked = phase_of(target, observer), observer.rate, time.monotonic()
                problems += _end(trial, target, observer)
                seconds = time.monotonic() - asked
            threading.Event().wait(_UNDER_WAY)
            at, found = inspect(target.models_dir, target.model)
            problems += found
        except UserError as error:
            problems.append(str(error))
            return _result(trial, '', observer.last, 0, 0.0, 0.0, problems)
    return _result(trial, phase, observer.last, at.steps, rate, seconds, problems)


def _end(trial: Trial, target: TargetGraph, observer: 'ExperienceObserver') -> list[str]:
    problems = []
    if trial.order[0] == 'saved':
        end = OrderlyEnd(observer.client, lambda: False)
        end.run()
        problems += [end.problem] if end.problem else []
    target.supervisor.ask_to_end()
    for state in target.supervisor.await_end():
        if state.status:
            problems.append(f'{state.name} ended with exit status {state.status}')
    if _LEASE_LOST in target.supervisor.log('fast_learner').read_text(errors='replace'):
        problems.append('a sleep lost its lease although slow_learner was alive')
    return problems


def _result(
    trial: Trial, phase: str, before: int, after: int, rate: float, seconds: float, problems: list[str]
) -> TrialResult:
    lost = max(before - after, 0)
    failures = (*problems, *([f'{lost} steps lost, none allowed'] if lost else []))
    return TrialResult(
        number=trial.number,
        kind=trial.kind,
        aim=f'{trial.aim}',
        phase=phase,
        before=before,
        after=after,
        lost=lost,
        rate=round(rate, 1),
        is_equal=None,
        seconds=round(seconds, 1),
        failures=failures,
    )
