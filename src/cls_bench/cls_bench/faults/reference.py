"""The reference of the comparison: an uninterrupted run in one process, hashed after each step and sleep."""

from collections.abc import Callable
from pathlib import Path
import threading
from typing import NamedTuple

import torch

from cls_common.errors import UserError
from cls_common.transition import Experience
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.learner_session import LearnerSession
from cls_training.train_loop import SLEEP_KEPT, TrainLoop, TrainProgress
from cls_training.training import opened

from .subject import Subject


class _EndedError(Exception):
    """The reference run is no longer needed."""


class RunPoint(NamedTuple):
    """A point of a run: total wake steps, sleeps, and the hash of the weights."""

    steps: int
    cycles: int
    weights: str


def run_uninterrupted(
    subject: Subject,
    model: str,
    report: Callable[[RunPoint], None],
    prepare: Callable[[TrainLoop], None] = lambda _: None,
) -> None:
    """Trains in simulation, from the beginning or from where the model stopped, until `report` raises.

    Args:
        report: called after every step and every sleep.
        prepare: called before the first step.

    Raises:
        UserError: the brain never sleeps by itself, or lacks a sense of the robot.
    """

    def on_progress(progress: TrainProgress) -> None:
        if progress.phase in ('wake', SLEEP_KEPT):
            run.loop.catch_up()
            session = run.loop.session
            weights = session.weights_sha256(run.loop.learner.to_bytes())
            report(RunPoint(session.sequence, session.cycles, weights))

    options = subject.training(model)
    with opened(options, on_progress) as run, run.loop:
        if run.loop.learner.wake_steps_per_cycle <= 0:
            # Trials wait for the save that follows a sleep.
            raise UserError(f'brain {subject.brain!r}', expected='one that sleeps by itself', found='no cycle length')
        prepare(run.loop)
        run.run(options.steps)


class ReferenceRun:
    """Hashes by (total steps, cycles), computed on demand.

    Runs in a thread that waits until more steps are wanted. Use as a context manager; its entry raises UserError where
    the run does not start.
    """

    def __init__(self, subject: Subject) -> None:
        self._hashes: dict[tuple[int, int], str] = {}
        self._boundaries: set[int] = set()
        self._changed = threading.Condition()
        self._wanted = 0
        self._error: BaseException | None = None
        self._subject = subject
        self._thread = threading.Thread(target=self._run, name='reference', daemon=True)
        self._thread.start()

    def __enter__(self) -> 'ReferenceRun':
        self._pass(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.want(-1)
        self._thread.join()

    def get(self, steps: int, cycles: int) -> str | None:
        """Returns the hash after `steps` wake steps and `cycles` sleeps; None where the run has no such point."""
        self._pass(steps)
        return self._hashes.get((steps, cycles))

    def has_boundary(self, step: int) -> bool:
        """Returns whether a step, from 1, begins an episode of the run."""
        self._pass(step)
        return step in self._boundaries

    def _pass(self, steps: int) -> None:
        """Returns when the run has passed a step."""
        self.want(steps + 1)
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._has_passed(steps))
            if isinstance(self._error, UserError):
                raise self._error
            if self._error is not None:
                raise UserError('the uninterrupted run failed', found=repr(self._error)) from self._error

    def _has_passed(self, steps: int) -> bool:
        # A sleep belongs to the step before it, so only the next step shows that it is complete.
        return any(reached > steps for reached, _ in list(self._hashes)[-1:])

    def want(self, steps: int) -> None:
        """Sets how many steps will be needed, which are computed meanwhile; below 0 ends the run."""
        with self._changed:
            self._wanted = -1 if steps < 0 else max(self._wanted, steps)
            self._changed.notify_all()

    def _prepare(self, loop: TrainLoop) -> None:
        # Saves do not change the weights.
        loop.session.consolidator.save_interval = 0
        loop.learned = self._on_experience

    def _on_experience(self, experience: Experience, _metrics: dict[str, float]) -> None:
        if experience.transition.boundary:
            self._boundaries.add(experience.sequence)

    def _on_point(self, point: RunPoint) -> None:
        with self._changed:
            self._hashes[point.steps, point.cycles] = point.weights
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._wanted < 0 or point.steps < self._wanted)
            if self._wanted < 0:
                raise _EndedError

    def _run(self) -> None:
        try:
            run_uninterrupted(self._subject, 'reference', self._on_point, self._prepare)
        except _EndedError:
            pass
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()


def inspect(models_dir: Path, model: str) -> tuple[RunPoint, list[str]]:
    """Opens a model without an owner, as its next start does.

    Returns:
        the point at which it continues, and problems found while loading.

    Raises:
        UserError: it does not load.
    """
    torch.set_num_threads(1)
    folder = ModelFolder(models_dir, model)
    try:
        if folder.config is None:
            raise UserError(f'model {model!r}', expected='its config.json', found='none')
        session = LearnerSession(folder)
        weights = session.weights_sha256(session.online_bytes)
        return RunPoint(session.sequence, session.cycles, weights), session.problems
    finally:
        folder.close()
