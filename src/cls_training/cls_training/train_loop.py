"""Trains a model in this process: online learner and consolidator, as the two learner nodes do. No ROS."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
import logging
import time

from cls_common.transition import Experience, Floats, Transition
from cls_learning import state_bytes
from cls_learning.brain import Goal, SleepRun
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.learner_session import LearnerSession, make_online_learner
from cls_learning.runtime.online_step import online_step

SLEEP_KEPT = 'sleep kept'  # phase of the report after a sleep that was kept
_log = logging.getLogger(__name__)
# Steps by which the online learner may be ahead of the consolidator: neither needs the other before the sleep.
_AHEAD = 32
# Optimiser steps from one report of a sleep to the next.
_REPORT_EVERY = 50


@dataclass(frozen=True)
class TrainProgress:
    """Progress of a run: steps done of this run, and the phase.

    Attributes:
        measure: returns metrics by name; called only if they are shown, since some take time.
    """

    step: int
    phase: str
    measure: Callable[[], dict[str, float]] = dict


def send_nothing(_: Floats) -> None:
    """Sends no action: the transitions are recorded ones."""


class TrainLoop:
    """An opened model, its online learner and its consolidator, which has a thread of its own; a context manager.

    Attributes:
        session: consolidator and folder; call `catch_up` before reading it. learner: the online learner.
        learned: called in the consolidator's thread after each step, with the experience and its metrics.
        done: wake steps of this run. slept: time spent asleep, s.
        before_save: called before each save.
    """

    def __init__(
        self,
        folder: ModelFolder,
        report: Callable[[TrainProgress], None],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.session = LearnerSession(folder)
        for problem in self.session.problems:
            _log.warning('went back one generation: %s', problem)
        self.learner = make_online_learner(self.session.config)
        self.learner.load_bytes(self.session.online_bytes)
        self._report = report
        self._stopping = stopping
        self.before_save: Callable[[], None] = lambda: None
        self.learned: Callable[[Experience, dict[str, float]], None] = lambda _, __: None
        self.done = 0
        self.slept = 0.0
        self._thread = ThreadPoolExecutor(1, 'consolidator')
        self._open: deque[Future[None]] = deque()

    def __enter__(self) -> 'TrainLoop':
        return self

    def __exit__(self, *_: object) -> None:
        # Also after an error every step is learned, since the folder is closed next.
        self._thread.shutdown()

    def step(
        self, transition: Transition, mode: str, goes_on: bool, send: Callable[[Floats], None] = send_nothing
    ) -> Experience:
        """Learns from a step with both learners. The caller then calls `sleep_where_due`.

        Args:
            transition: as returned by `learner.prepare`.
            mode: see `online_step`. goes_on: whether another step follows. send: sends the next action.
        """
        experience = online_step(self.learner, transition, mode, goes_on, send)
        self.session.write_down(experience)
        self._open.append(self._thread.submit(self._learn, experience))
        if len(self._open) > _AHEAD:
            self._open.popleft().result()
        self.done += 1
        self._report(TrainProgress(self.done, 'wake', self._headlines))
        return experience

    def _headlines(self) -> dict[str, float]:
        by_learner = {'fast': self.learner.metrics(), 'slow': self.session.consolidator.metrics()}
        wanted = self.session.brain.headlines
        return {
            f'{name}_{learner}': v for learner, own in by_learner.items() for name, v in own.items() if name in wanted
        }

    def _learn(self, experience: Experience) -> None:
        self.session.learn(experience, datetime.now())
        self.learned(experience, self.session.metrics)

    def catch_up(self) -> None:
        """Waits until the consolidator has learned every step so far; raises its exceptions."""
        while self._open:
            self._open.popleft().result()

    def sleep_where_due(self) -> bool:
        """Sleeps at the end of a cycle, also of a cycle of an earlier process; saves if that is due.

        If a stop is requested during sleep, its result is discarded.

        Returns:
            whether a sleep was due.
        """
        if not self.learner.wants_sleep:
            return False
        self.catch_up()
        begun = time.monotonic()
        try:
            self._sleep()
        finally:
            self.slept += time.monotonic() - begun
        return True

    def _sleep(self) -> None:
        goal = Goal()
        run = self.session.begin_sleep(self.learner.to_bytes(), goal)
        if not self._run(run):
            self.session.roll_back(run, datetime.now())
            return
        state = run.finish()
        if run.verdict.rolled_back:
            _log.warning('sleep rolled back: %s', run.verdict.text)
            self.session.roll_back(run, datetime.now())
        else:
            self.learner.load(state)
            self.session.keep(run, goal, state_bytes.pack(state), datetime.now())
            self._report(TrainProgress(self.done, SLEEP_KEPT))
        # Also after a sleep that the gate rolled back, so that a crash does not lose its count.
        if self.session.save_is_due:
            self.save()

    def _run(self, run: SleepRun) -> bool:
        """Runs the phases; returns whether any step ran, none was stopped and none diverged."""
        for progress in run.run():
            if progress.step % _REPORT_EVERY == 0 or progress.step == progress.steps:
                self._report(TrainProgress(self.done, progress.phase, partial(dict, loss=progress.loss)))
            if self._stopping():
                return False
        return not run.diverged and any(run.statistics.steps.values())

    def save(self) -> None:
        """Writes the next generation."""
        self.catch_up()
        self.before_save()
        if self.session.sequence > 0:
            self.session.save(self.learner.to_bytes(), datetime.now())
