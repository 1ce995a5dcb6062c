"""One trial after the other: kill, and see what comes back."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
import shutil
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError
from cls_learning.model_store.generations import Manifest

from .endings import run_trial
from .moments import Kill, kill, watch_until
from .plan import Trial
from .reference import inspect, Reference, Stage
from .subject import Subject
from .verdict import judge, Outcome

if TYPE_CHECKING:
    from .nodes.witness import Witness

# s; PyTorch takes its time to import where everything else is busy too.
STARTUP, RECOVERY = 300.0, 180.0


class Trials:
    """Runs trials over as few graphs as they need: learners die in a living one, until all of it does.

    Use as a context manager.
    """

    def __init__(self, folder: Path, seed: int, reference: Reference) -> None:
        self._folder, self._seed, self._reference = folder, seed, reference
        self._number = self._gaps = 0
        self._stack = ExitStack()
        self._graph: tuple[Subject, Witness] | None = None

    def __enter__(self) -> 'Trials':
        return self

    def __exit__(self, *_: object) -> None:
        self._end_graph(keep_logs=False)

    def run(self, plan: Sequence[Trial]) -> Iterator[Outcome]:
        """Yields what each trial showed."""
        for trial in plan:
            if trial.kind == 'end':
                self._number += 1
                yield run_trial(trial, self._folder, self._seed)
                continue
            outcome = self._run(trial)
            # A life that went another way has no reference: the next trial gets a new one.
            if not outcome.passed or trial.kind == 'graph' or outcome.lost:
                self._end_graph(keep_logs=not outcome.passed)
            yield outcome

    def _run(self, trial: Trial) -> Outcome:
        try:
            subject, heard = self._living_graph()
            killed = kill(trial, subject, heard)
        except UserError as error:
            return _failed(trial, None, str(error))
        try:
            if trial.kind == 'graph':
                return self._look_into_folder(trial, killed, subject)
            return self._see_it_go_on(trial, killed, subject, heard)
        except UserError as error:
            return _failed(trial, killed, str(error))

    def _living_graph(self) -> tuple[Subject, 'Witness']:
        if self._graph is None:
            from .nodes.witness import witness

            self._number += 1
            self._gaps = 0
            subject = Subject(self._number, self._folder, self._seed)
            self._stack.callback(lambda: subject.close(self._keep_logs))
            self._keep_logs = True
            heard = self._stack.enter_context(witness(subject.namespace, self._reference.want))
            self._graph = subject, heard
            if not watch_until(lambda: heard.count > 0, STARTUP, subject, heard):
                raise UserError(f'no step within {STARTUP:g} s', found=heard.remote.pair().missing())
        self._graph[0].settle()
        return self._graph

    def _end_graph(self, keep_logs: bool) -> None:
        self._keep_logs = keep_logs
        self._graph = None
        self._stack.close()

    def _look_into_folder(self, trial: Trial, killed: Kill, subject: Subject) -> Outcome:
        """Opens the model that everybody left behind."""
        at, problems = inspect(subject.models_dir, subject.model)
        seconds = time.monotonic() - killed.time
        return self._judge(trial, killed, at, killed.before - at.steps, at.steps, seconds, problems)

    def _see_it_go_on(self, trial: Trial, killed: Kill, subject: Subject, heard: 'Witness') -> Outcome:
        """Waits for a save of later steps: by then whoever died is back, and both halves have gone on.

        Where both died, steps under way may be lost, and the world has gone on with them: then what they left behind
        is compared, since what follows is another life.
        """
        left = _inspect_copy(subject) if trial.kind == 'both' else None
        found: list[Manifest] = []

        def has_gone_on() -> bool:
            number = subject.generation()
            if number > killed.generation:
                manifest = subject.saved(number)
                found[:] = [manifest] if manifest.sequence > killed.before else []
            return bool(found)

        if not watch_until(has_gone_on, RECOVERY, subject, heard):
            pair = heard.remote.pair()
            raise UserError(f'no save of later steps within {RECOVERY:g} s', found=pair.missing() or pair.phase)
        seconds = time.monotonic() - killed.time
        manifest = found[0]
        gaps = subject.gaps(manifest.number) - self._gaps
        self._gaps += gaps
        first = heard.since(killed.count)[0]
        after = first.sequence - 1 if 'fast_learner' in trial.order else killed.before - gaps
        lost = max(killed.before - after, gaps)
        if left is not None and first.boundary:
            # A step that was lived and told to nobody alive: what the robot saw of it is in no journal.
            lost = max(lost, 1)
        at = Stage(manifest.sequence, manifest.cycles, manifest.weights_sha256)
        problems = [f'chain broken at step {first.sequence}'] if first.boundary else []
        if left is not None and lost:
            at, problems = left, [] if first.boundary else [f'no boundary at step {first.sequence} after lost ones']
        return self._judge(trial, killed, at, lost, after, seconds, problems)

    def _judge(
        self, trial: Trial, killed: Kill, at: Stage, lost: int, after: int, seconds: float, problems: Sequence[str]
    ) -> Outcome:  # fmt: skip
        expected = self._reference.get(at.steps, at.cycles)
        saved = killed.saved
        if saved and self._reference.get(saved.sequence, saved.cycles) != saved.weights_sha256:
            problems = [*problems, f'another life before the kill: saved step {saved.sequence} of cycle {saved.cycles}']
        elif expected is None:
            problems = [*problems, f'the uninterrupted life never was at step {at.steps} of cycle {at.cycles}']
        lost, is_equal = max(lost, 0), at.weights == expected
        return Outcome(
            number=trial.number, kind=trial.kind, aim=trial.aim, phase=killed.phase, before=killed.before, after=after,
            lost=lost, rate=round(killed.rate, 1), is_equal=is_equal, compared=(at.steps, at.cycles),
            seconds=round(seconds, 1), failures=judge(lost, killed.rate, is_equal, problems),
        )  # fmt: skip


def _inspect_copy(subject: Subject) -> Stage:
    """Opens a copy of a model whose learners are dead and about to be started again."""
    name = f'{subject.model}_left'
    shutil.copytree(subject.models_dir / subject.model, subject.models_dir / name)
    try:
        at, _ = inspect(subject.models_dir, name)
        return at
    finally:
        shutil.rmtree(subject.models_dir / name)


def _failed(trial: Trial, killed: Kill | None, problem: str) -> Outcome:
    """Returns what is known of a trial that came to nothing."""
    phase, before, rate = (killed.phase, killed.before, killed.rate) if killed else ('', 0, 0.0)
    return Outcome(
        number=trial.number, kind=trial.kind, aim=trial.aim, phase=phase, before=before, after=0, lost=before,
        rate=round(rate, 1), is_equal=None, failures=judge(0, rate, None, [problem]),
    )  # fmt: skip
