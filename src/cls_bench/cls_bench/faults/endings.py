"""Orderly ends at random moments on a busy core: not one experience may be lost, no sleep may lose its lease."""

from contextlib import ExitStack
from pathlib import Path
import threading
import time
from typing import TYPE_CHECKING

from cls_bringup.orderly_end import OrderlyEnd
from cls_common.errors import UserError

from .busy_core import busy_core
from .moments import await_moment, phase_of, watch_until
from .plan import Trial
from .reference import inspect
from .subject import Subject
from .verdict import Outcome

if TYPE_CHECKING:
    from .nodes.witness import Witness

# s until the first step, on a machine that is still quiet; then so many steps before the core gets busy.
_STARTUP, _FIRST_STEPS = 300.0, 30
# Busy processes beside the graph on its core.
LOAD = 3
# Messages under way when acting ended, s.
_UNDER_WAY = 0.4
# What fast_learner logs where it woke by itself although slow_learner was alive.
_LEASE_LOST = 'silent for the whole lease'


def run_trial(trial: Trial, folder: Path, seed: int) -> Outcome:
    """Starts a graph in real time, ends it in order at the moment that the trial aims at, and opens its model.

    `saved` ends as `./cls up` does: acting stops, the model is saved, then every process is signalled; `signalled`
    as `ros2 launch` does: every process gets SIGINT at once.
    """
    from .nodes.witness import witness

    subject = Subject(trial.number, folder, seed, lock_step=False)
    problems: list[str] = []
    with ExitStack() as stack:
        stack.callback(lambda: subject.close(keep_logs=bool(problems)))
        heard = stack.enter_context(witness(subject.namespace, lambda _: None))
        try:
            if not watch_until(lambda: heard.count > _FIRST_STEPS, _STARTUP, subject, heard):
                raise UserError(f'not {_FIRST_STEPS} steps within {_STARTUP:g} s', found=heard.remote.pair().missing())
            with busy_core(subject.pids().values(), LOAD):
                await_moment(trial, subject, heard)
                phase, rate, asked = phase_of(subject, heard), heard.rate, time.monotonic()
                problems += _end(trial, subject, heard)
                seconds = time.monotonic() - asked
            threading.Event().wait(_UNDER_WAY)
            at, found = inspect(subject.models_dir, subject.model)
            problems += found
        except UserError as error:
            problems.append(str(error))
            return _outcome(trial, '', heard.last, 0, 0.0, 0.0, problems)
    return _outcome(trial, phase, heard.last, at.steps, rate, seconds, problems)


def _end(trial: Trial, subject: Subject, heard: 'Witness') -> list[str]:
    problems = []
    if trial.order[0] == 'saved':
        end = OrderlyEnd(heard.remote, lambda: False)
        end.run()
        problems += [end.problem] if end.problem else []
    subject.supervisor.ask_to_end()
    for state in subject.supervisor.await_end():
        if state.status:
            problems.append(f'{state.name} ended with exit status {state.status}')
    if _LEASE_LOST in subject.supervisor.log('fast_learner').read_text(errors='replace'):
        problems.append('a sleep lost its lease although slow_learner was alive')
    return problems


def _outcome(
    trial: Trial, phase: str, before: int, after: int, rate: float, seconds: float, problems: list[str]
) -> Outcome:  # fmt: skip
    lost = max(before - after, 0)
    failures = (*problems, *([f'{lost} steps lost, none allowed'] if lost else []))
    return Outcome(
        number=trial.number, kind=trial.kind, aim=f'{trial.aim}', phase=phase, before=before, after=after, lost=lost,
        rate=round(rate, 1), is_equal=None, seconds=round(seconds, 1), failures=failures,
    )  # fmt: skip
