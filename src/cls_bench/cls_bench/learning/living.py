"""A whole life of the product's two halves, scored on the way."""

from dataclasses import dataclass, field
import time
from typing import Any

import torch

from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings

from .judge import Figures, of_matrix
from .metrics.skill import skill
from .predictor import Learned, Predictor
from .rows.contract import budget, Task
from .rows.product import stored

# Steps into a new scene at which Fast is scored on it.
FAST_STEPS = (50, 100, 200, 400)


def live(settings: LearningSettings, task: Task, *, sleeps: bool, scored: str) -> Figures:
    """Lives through all scenes and returns every figure."""
    life = _Life(settings, task, sleeps=sleeps, scored=scored)
    for place in range(len(task.world.scenes)):
        life.live_in(place)
    return life.figures()


@dataclass
class _Spent:
    """What was spent: optimiser steps, sample-gradients, s asleep."""

    steps: int = 0
    samples: int = 0
    fast_steps: int = 0
    fast_samples: int = 0
    night_seconds: float = 0.0


@dataclass
class _Noted:
    """What was noted on the way."""

    matrix: list[list[float]] = field(default_factory=list)
    fast_matrix: list[list[float]] = field(default_factory=list)
    gains: list[float | None] = field(default_factory=list)
    fast_at: dict[int, list[float]] = field(default_factory=lambda: {step: [] for step in FAST_STEPS})
    lived: list[tuple[float, float]] = field(default_factory=list)
    earlier: list[tuple[float, float]] = field(default_factory=list)
    rolled_back: int = 0
    sleeps: list[dict[str, float]] = field(default_factory=list)


class _Life:
    def __init__(self, settings: LearningSettings, task: Task, *, sleeps: bool, scored: str) -> None:
        self._settings, self._task, self._sleeps = settings, task, sleeps
        size = task.world.z_size
        self._waking = ClsOnlineLearner(settings, task.robot, size, task.seed)
        # Without nights nobody but Slow itself is behind Slow: where Fast is scored, it need not live.
        needs_slow = sleeps or scored == 'slow'
        self._sleeping = ClsConsolidator(settings, task.robot, size, task.seed) if needs_slow else None
        self._fast: Predictor = Learned(self._waking.fast)
        slow = None if self._sleeping is None else Learned(self._sleeping.slow)
        self._scored: Predictor = slow if slow is not None and scored == 'slow' else self._fast
        self._slow: Predictor | None = slow
        self._spent, self._noted = _Spent(), _Noted()

    def live_in(self, place: int) -> None:
        task, fast = self._task, self._settings.fast
        for step, transition in enumerate(task.world.transitions(place), 1):
            experience = self._waking.learn(self._waking.prepare(transition))
            self._spent.fast_steps += 1
            self._spent.fast_samples += min(1 + fast.recent + fast.older, experience.sequence)
            if self._sleeping is not None:
                self._sleeping.learn(experience)
                due = experience.sequence % self._settings.slow.wake_interval == 0
                self._spent.steps += due
                self._spent.samples += due
            self._noted.lived.append((experience.metrics['error_before'], experience.metrics['copy_error']))
            if step in FAST_STEPS:
                self._noted.fast_at[step].append(task.judge.skill_in(self._fast, place))
            if self._waking.wants_sleep and self._sleeps:
                self._sleep(place)
            if step % 50 == 0:
                task.report(self._waking.total_steps / task.plan.total)
        self._close_stage(place)

    def _sleep(self, place: int) -> None:
        assert self._sleeping is not None
        judge, began = self._task.judge, time.monotonic()
        before, score = judge.errors(self._scored), self._score('before', place)
        night = self._sleeping.begin_sleep(self._waking.state(), Goal())
        for _ in night.run():
            pass
        self._count(night.statistics.steps)
        self._spent.night_seconds += time.monotonic() - began
        state = {} if night.diverged else night.finish()
        if night.diverged or night.verdict.rolled_back:
            night.roll_back()
            self._noted.rolled_back += 1
            self._noted.gains.append(None)
        else:
            self._waking.load(state)
            self._noted.gains.append(judge.gain(before, judge.errors(self._scored), place + 1))
        self._noted.sleeps.append(score | self._score('after', place))

    def _score(self, when: str, place: int) -> dict[str, float]:
        """Returns the skill of what is scored and of Fast, before or after a sleep, on the scenes so far."""
        judge = self._task.judge
        return {
            when: judge.skill_until(judge.errors(self._scored), place + 1),
            f'fast_{when}': judge.skill_until(judge.errors(self._fast), place + 1),
        }

    def _count(self, steps: dict[str, int]) -> None:
        sleep, spent = self._settings.sleep, self._spent
        for phase, count in steps.items():
            if phase == 'tether':
                spent.fast_steps += count
                spent.fast_samples += count * sleep.batch_size
            else:
                spent.steps += count
                spent.samples += count * sleep.batch_size * (sleep.rem_k if phase == 'rem' else 1)

    def _close_stage(self, place: int) -> None:
        judge, noted = self._task.judge, self._noted
        noted.matrix.append(judge.skills(self._scored))
        noted.fast_matrix.append(judge.skills(self._fast))
        if self._slow is not None and place > 0:
            slow, fast = (float(torch.cat(judge.errors(model)[:place]).mean()) for model in (self._slow, self._fast))
            noted.earlier.append((slow, fast))

    def figures(self) -> Figures:
        """Returns every figure of the life."""
        spent, noted = self._spent, self._noted
        trained = self._scored is not self._fast
        return {
            **self._task.judge.final(self._scored), **of_matrix(noted.matrix), **self._of_fast(),
            'sleep_gain': noted.gains, 'sleep_gain_mean': _mean([g for g in noted.gains if g is not None]),
            'sleep_gain_worst': min((g for g in noted.gains if g is not None), default=None),
            'rolled_back': noted.rolled_back, 'night_seconds': spent.night_seconds, **_of_sleeps(noted.sleeps),
            **budget(
                steps=spent.steps if trained else spent.fast_steps,
                samples=spent.samples if trained else spent.fast_samples, stored=stored(self._settings),
                fast_steps=spent.fast_steps if trained else None, fast_samples=spent.fast_samples if trained else None,
            ),
        }  # fmt: skip

    def _of_fast(self) -> dict[str, Any]:
        noted = self._noted
        at = {str(step): _mean(values) for step, values in noted.fast_at.items()}
        worst = {str(step): min(values, default=None) for step, values in noted.fast_at.items()}
        last = len(noted.fast_matrix) - 1
        quarter = max(len(noted.lived) // 4, 1)
        return {
            'fast_at': at, 'fast_at_worst': worst, 'fast_skill': _mean(noted.fast_matrix[last]),
            'fast_own_scene': _mean([row[i] for i, row in enumerate(noted.fast_matrix)]),
            # Rows 000-107 and 000-108 of the reference's list of features.
            'fast_lived': [_lived(noted.lived[i : i + quarter]) for i in range(0, quarter * 4, quarter)],
            'earlier_scenes': _earlier(noted.earlier),
        }  # fmt: skip


def _of_sleeps(scores: list[dict[str, float]]) -> Figures:
    """All scores around sleeps; those around the first one, and the worst after any, of what is scored and of Fast."""
    found: Figures = {'sleep_scores': scores}
    if scores:
        for model in ('', 'fast_'):
            found |= {f'{model}first_sleep_{when}': scores[0][f'{model}{when}'] for when in ('before', 'after')}
            found[f'{model}after_sleep_worst'] = min(score[f'{model}after'] for score in scores)
    return found


def _lived(steps: list[tuple[float, float]]) -> dict[str, float | None]:
    """Fast's error before it learned each step, that of copying, and the skill, over a stretch of life."""
    error, copied = (_mean([step[i] for step in steps]) for i in (0, 1))
    return {'error': error, 'copied': copied, 'skill': skill(error, copied) if error is not None and copied else None}


def _earlier(found: list[tuple[float, float]]) -> dict[str, float | None]:
    """Slow's and Fast's error on the scenes before the present one, over all ends of scenes after the first."""
    return {'slow_error': _mean([s for s, _ in found]), 'fast_error': _mean([f for _, f in found])}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
