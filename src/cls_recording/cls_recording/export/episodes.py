"""Cuts sessions into episodes: no episode spans a gap, an end given by the robot, or two sessions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from cls_common.robot import RobotInfo
from cls_common.stamps import NS

from .timeline import median_period, RecordedStep, Shot, Timeline

# A pause of this many median periods, at least one second, is a gap: less is scheduling jitter.
_GAP_PERIODS = 5
_GAP_SECONDS = 1.0
# A camera this much faster than the steps gives each step a new image; a slower one may repeat an image.
_KEEPS_UP = 2.0


@dataclass(frozen=True, eq=False)
class Episode:
    """Consecutive steps without a gap, of the session of `timeline`."""

    timeline: Timeline
    steps: tuple[RecordedStep, ...]


@dataclass(frozen=True)
class Episodes:
    """All episodes in order, and why steps were left out: reason -> count."""

    episodes: tuple[Episode, ...]
    left_out: Counter[str]


def split(timelines: Sequence[Timeline], robot: RobotInfo) -> Episodes:
    """Cuts sessions into episodes.

    A new episode begins with a session; after `terminal` or `truncated`; after an action that was lost or refused;
    where the clock was set; after a pause of five median periods (at least 1 s); and after each step that is left out,
    since its observation is unknown: no image, or one that is older than the last step.
    """
    left_out: Counter[str] = Counter()
    episodes: list[Episode] = []
    for timeline in timelines:
        rules = _Rules(timeline, robot)
        current: list[RecordedStep] = []
        before: RecordedStep | None = None
        for step in timeline.steps:
            problem = rules.problem(step, before)
            if problem:
                left_out[problem] += 1
            if current and (problem or rules.is_cut(before, step)):
                episodes.append(Episode(timeline, tuple(current)))
                current = []
            if not problem:
                current.append(step)
            before = step
        if current:
            episodes.append(Episode(timeline, tuple(current)))
    return Episodes(tuple(episodes), left_out)


def step_rate(episodes: Sequence[Episode]) -> float:
    """Returns the median rate of steps within episodes, Hz; NaN where no episode has two."""
    times = [(number, step.start) for number, episode in enumerate(episodes) for step in episode.steps]
    return 1.0 / median_period(times)


class _Rules:
    def __init__(self, timeline: Timeline, robot: RobotInfo) -> None:
        self._robot = robot
        self._has_images = bool(timeline.image_topic)
        self._senses = {modality for modality in robot.modalities if modality != 'camera'}
        step_period = median_period([(step.epoch, step.start) for step in timeline.steps])
        image_period = median_period([(shot.epoch, shot.stamp) for shot in timeline.shots])
        self._pause = _limit(step_period)
        self._oldest = max(_limit(image_period), _limit(step_period))
        self._each_has_an_image = robot.lock_step or _KEEPS_UP * image_period <= step_period

    def problem(self, step: RecordedStep, before: RecordedStep | None) -> str:
        if step.action.shape != (len(self._robot.channels),) or step.joints.shape != (len(self._robot.joint_names),):
            return 'not one value for each channel and joint'
        if not (np.isfinite(step.action).all() and np.isfinite(step.joints).all()):
            return 'values that are not finite'
        if step.shot is not None and step.shot.is_broken:
            return 'a broken image before the action'
        if self._has_images and not self._is_fresh(step, before):
            return 'no image before the action'
        return '' if self._senses <= step.senses.keys() else 'no observation before the action'

    def _is_fresh(self, step: RecordedStep, before: RecordedStep | None) -> bool:
        shot: Shot | None = step.shot
        if shot is None or step.start - shot.stamp > self._oldest:
            return False
        repeated = before is not None and before.shot == shot
        return not (repeated and self._each_has_an_image)

    def is_cut(self, before: RecordedStep | None, step: RecordedStep) -> bool:
        if before is None or before.terminal or before.truncated or not step.follows or before.epoch != step.epoch:
            return True
        return not 0 < step.start - before.start <= self._pause


def _limit(period: float) -> float:
    return NS * max(_GAP_SECONDS, _GAP_PERIODS * (period if math.isfinite(period) else 0.0))
