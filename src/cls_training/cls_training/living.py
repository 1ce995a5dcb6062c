"""A model that lives in this process: both halves in turn, as the graph's two learners do it. No ROS."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
import logging
import time

from cls_learning.agent import wake_step
from cls_learning.agent.cortex import Cortex, make_waking_half
from cls_learning.agent.late_images import LateImages
from cls_learning.agent.skill import SkillWindow
from cls_learning.checkpoints.folder import ModelFolder
from cls_learning.consolidation.night import Goal
from cls_learning.types import Experience, Floats, Transition

MORNING = 'morning'  # phase of the report that says that a night was kept
_log = logging.getLogger(__name__)
# Steps by which the waking half may be ahead: neither half needs the other before the night.
_AHEAD = 32
# Optimiser steps from one report of a night to the next.
_REPORT_EVERY = 50


@dataclass(frozen=True)
class Progress:
    """How far a run has come: steps done of this run, phase, and figures by name."""

    step: int
    phase: str
    figures: dict[str, float]


def stay(_: Floats) -> None:
    """Sends no action: somebody else acts."""


class Living:
    """An opened model and both its halves, each in a thread of its own; use it in a `with`.

    Attributes:
        cortex: the sleeping half in its folder; look at it after `catch_up`. waking: the waking half.
        learned: called in the cortex's thread after each step it has learned, with Slow's error before.
        done: wake steps of this run. slept: s spent in nights.
        before_save: called first where something is saved.
    """

    def __init__(
        self, folder: ModelFolder, report: Callable[[Progress], None], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.cortex = Cortex(folder)
        for problem in self.cortex.problems:
            _log.warning('went back one generation: %s', problem)
        self.waking = make_waking_half(self.cortex.config)
        self.waking.load_bytes(self.cortex.waking_bytes)
        self._late = LateImages(self.cortex.config.robot)
        self._report = report
        self._stopping = stopping
        self._skill = SkillWindow()
        self.before_save: Callable[[], None] = lambda: None
        self.learned: Callable[[Experience, float], None] = lambda _, __: None
        self.done = 0
        self.slept = 0.0
        self._thread = ThreadPoolExecutor(1, 'cortex')
        self._open: deque[Future[None]] = deque()

    def __enter__(self) -> 'Living':
        return self

    def __exit__(self, *_: object) -> None:
        # What was lived is learned, whatever ends this: the folder is closed next.
        self._thread.shutdown()

    def pair(self, transition: Transition) -> Transition:
        """Takes into account by how much images are late; for each transition of the robot, in order."""
        waking = self.waking
        return self._late.pair(transition, waking.image_delay, is_new=waking.has_new_image_delay)

    def wake_step(
        self, transition: Transition, mode: str, goes_on: bool, send: Callable[[Floats], None] = stay
    ) -> Experience:
        """Closes a step and learns it in both halves; sleep, where it is due, is the caller's next call."""
        experience = wake_step.close(self.waking, transition, mode, goes_on, send)
        self.cortex.write_down(experience)
        self._open.append(self._thread.submit(self._learn, experience))
        if len(self._open) > _AHEAD:
            self._open.popleft().result()
        self.done += 1
        self._skill.add(experience.error_before, experience.copy_error)
        figures = {'skill_fast': self._skill.value(), 'skill_slow': self.cortex.skill.value()}
        self._report(Progress(self.done, 'wake', figures))
        return experience

    def _learn(self, experience: Experience) -> None:
        self.cortex.learn(experience, datetime.now())
        self.learned(experience, self.cortex.metrics.get('slow_error', float('nan')))

    def catch_up(self) -> None:
        """Returns when the cortex has learned every step so far; raises what went wrong there."""
        while self._open:
            self._open.popleft().result()

    def sleep_where_due(self) -> None:
        """Sleeps at the end of a cycle, also of one that ended before this process began; saves where that is due.

        A night in which the end is asked for never was.
        """
        if not self.waking.should_sleep:
            return
        self.catch_up()
        begun = time.monotonic()
        try:
            self._sleep()
        finally:
            self.slept += time.monotonic() - begun

    def _sleep(self) -> None:
        goal = Goal()
        night = self.cortex.begin_night(self.waking.to_bytes(), goal)
        for progress in night.run():
            if progress.step % _REPORT_EVERY == 0 or progress.step == progress.steps:
                self._report(Progress(self.done, progress.phase, {'loss': progress.loss}))
            if self._stopping():
                self.cortex.take_back(night, datetime.now())
                return
        # As slow_learner does: a night that diverged, or in which nothing could be done, never was.
        if night.diverged or not any(night.statistics.steps.values()):
            self.cortex.take_back(night, datetime.now())
            return
        waking_bytes = night.finish()
        if night.verdict.rolled_back:
            _log.warning('night rolled back: %s', night.verdict.text())
            self.cortex.take_back(night, datetime.now())
        else:
            self.waking.load_bytes(waking_bytes)
            self.cortex.keep(night, goal, waking_bytes, datetime.now())
            self._report(Progress(self.done, MORNING, {}))
        # Also after a night that the gate refused: else its count would be lost with whatever dies next.
        if self.cortex.save_is_due:
            self.save()

    def save(self) -> None:
        """Writes the next generation."""
        self.catch_up()
        self.before_save()
        if self.cortex.sequence > 0:
            self.cortex.save(self.waking.to_bytes(), datetime.now())
