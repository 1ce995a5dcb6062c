"""Runs trials: kills processes and checks what is restored."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
import shutil
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError
from cls_learning.model_store.generations import Manifest

from .kill_timing import kill, KillRecord, watch_until
from .orderly_ends import run_orderly_end
from .plan import Trial
from .reference import inspect, ReferenceRun, RunPoint
from .result import failures_of, TrialResult
from .subject import Subject
from .target import TargetGraph

if TYPE_CHECKING:
    from .nodes.observer import ExperienceObserver

# s; importing PyTorch is slow on a busy machine.
STARTUP, RECOVERY = 300.0, 180.0


class Experiment:
    """Runs trials, several of them on one graph until one ends it.

    Use as a context manager.
    """

    def __init__(self, subject: Subject, reference: ReferenceRun) -> None:
        self._subject, self._reference = subject, reference
        self._number = self._gaps = 0
        self._stack = ExitStack()
        self._graph: tuple[TargetGraph, ExperienceObserver] | None = None

    def __enter__(self) -> 'Experiment':
        return self

    def __exit__(self, *_: object) -> None:
        self._end_graph(keep_logs=False)

    def run(self, plan: Sequence[Trial]) -> Iterator[TrialResult]:
        """Yields the result of each trial."""
        for trial in plan:
            if trial.kind == 'end':
                self._number += 1
                yield run_orderly_end(trial, self._subject)
                continue
            result = self._run(trial)
            # A graph that lost steps has diverged from the reference: the next trial gets a new one.
            if not result.passed or trial.kind == 'graph' or result.lost:
                self._end_graph(keep_logs=not result.passed)
            yield result

    def _run(self, trial: Trial) -> TrialResult:
        try:
            target, observer = self._running_graph()
            killed = kill(trial, target, observer)
        except UserError as error:
            return _failed(trial, None, str(error))
        try:
            if trial.kind == 'graph':
                return self._check_folder(trial, killed, target)
            return self._check_continued(trial, killed, target, observer)
        except UserError as error:
            return _failed(trial, killed, str(error))

    def _running_graph(self) -> tuple[TargetGraph, 'ExperienceObserver']:
        if self._graph is None:
            from .nodes.observer import observe

            self._number += 1
            self._gaps = 0
            target = TargetGraph(self._number, self._subject)
            self._stack.callback(lambda: target.close(self._keep_logs))
            self._keep_logs = True
            observer = self._stack.enter_context(observe(target.namespace, self._reference.want))
            self._graph = target, observer
            if not watch_until(lambda: observer.count > 0, STARTUP, target, observer):
                raise UserError(f'no step within {STARTUP:g} s', found=observer.client.statuses().missing())
        self._graph[0].forget_crashes()
        return self._graph

    def _end_graph(self, keep_logs: bool) -> None:
        self._keep_logs = keep_logs
        self._graph = None
        self._stack.close()

    def _check_folder(self, trial: Trial, killed: KillRecord, target: TargetGraph) -> TrialResult:
        """Opens the model of a graph that was killed as a whole."""
        at, problems = inspect(target.models_dir, target.model)
        seconds = time.monotonic() - killed.time
        return self._judge(trial, killed, at, killed.before - at.steps, at.steps, seconds, problems)

    def _check_continued(
        self, trial: Trial, killed: KillRecord, target: TargetGraph, observer: 'ExperienceObserver'
    ) -> TrialResult:
        """Waits for a save of later steps, after which the victims have restarted and both learners have continued.

        Where both were killed, steps under way may be lost, and the simulator has continued with them. Then the model
        that they left is compared, since later steps have no reference.
        """
        left = _inspect_copy(target) if trial.kind == 'both' else None
        found: list[Manifest] = []

        def has_gone_on() -> bool:
            number = target.generation()
            if number > killed.generation:
                manifest = target.saved(number)
                found[:] = [manifest] if manifest.sequence > killed.before else []
            return bool(found)

        if not watch_until(has_gone_on, RECOVERY, target, observer):
            pair = observer.client.statuses()
            raise UserError(f'no save of later steps within {RECOVERY:g} s', found=pair.missing() or pair.phase)
        seconds = time.monotonic() - killed.time
        manifest = found[0]
        gaps = target.gaps(manifest.number) - self._gaps
        self._gaps += gaps
        first = observer.since(killed.count)[0]
        after = first.sequence - 1 if 'fast_learner' in trial.order else killed.before - gaps
        lost = max(killed.before - after, gaps)
        if left is not None and first.boundary:
            # A step whose experience reached no running process is in no journal. An episode may also begin here: then
            # one is counted though none may be lost, since the model that was left is right to compare in either case.
            lost = max(lost, 1)
        at = RunPoint(manifest.sequence, manifest.cycles, manifest.weights_sha256)
        is_expected = not first.boundary or self._reference.has_boundary(first.sequence)
        problems = [] if is_expected else [f'boundary at step {first.sequence}']
        if left is not None and lost:
            at, problems = left, [] if first.boundary else [f'no boundary at step {first.sequence} after lost ones']
        return self._judge(trial, killed, at, lost, after, seconds, problems)

    def _judge(
        self,
        trial: Trial,
        killed: KillRecord,
        at: RunPoint,
        lost: int,
        after: int,
        seconds: float,
        problems: Sequence[str],
    ) -> TrialResult:
        expected = self._reference.get(at.steps, at.cycles)
        saved = killed.saved
        if saved and self._reference.get(saved.sequence, saved.cycles) != saved.weights_sha256:
            problems = [*problems, f'diverged before the kill: saved step {saved.sequence} of cycle {saved.cycles}']
        elif expected is None:
            problems = [*problems, f'the uninterrupted run has no step {at.steps} of cycle {at.cycles}']
        lost, is_equal = max(lost, 0), at.weights == expected
        return TrialResult(
            number=trial.number,
            kind=trial.kind,
            aim=trial.aim,
            phase=killed.phase,
            before=killed.before,
            after=after,
            lost=lost,
            rate=round(killed.rate, 1),
            is_equal=is_equal,
            compared=(at.steps, at.cycles),
            seconds=round(seconds, 1),
            failures=failures_of(lost, killed.rate, is_equal, problems),
        )


def _inspect_copy(target: TargetGraph) -> RunPoint:
    """Opens a copy of a model whose learners are about to be restarted."""
    name = f'{target.model}_left'
    shutil.copytree(target.models_dir / target.model, target.models_dir / name)
    try:
        at, _ = inspect(target.models_dir, name)
        return at
    finally:
        shutil.rmtree(target.models_dir / name)


def _failed(trial: Trial, killed: KillRecord | None, problem: str) -> TrialResult:
    """Returns the result of a trial that could not be completed."""
    phase, before, rate = (killed.phase, killed.before, killed.rate) if killed else ('', 0, 0.0)
    return TrialResult(
        number=trial.number,
        kind=trial.kind,
        aim=trial.aim,
        phase=phase,
        before=before,
        after=0,
        lost=before,
        rate=round(rate, 1),
        is_equal=None,
        failures=failures_of(0, rate, None, [problem]),
    )
