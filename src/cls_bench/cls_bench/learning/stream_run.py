"""Runs the two learners on a stream, with sleep, and scores them on the way."""

from dataclasses import dataclass, field
import time
from typing import Any

import torch

from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings

from .baselines.contract import budget, Task
from .baselines.recipe import stored
from .evaluator import matrix_metrics, Metrics
from .metrics.skill import skill
from .predictor import LearnerPredictor, Predictor

# Steps into a new scene at which Fast is scored on it.
FAST_STEPS = (50, 100, 200, 400)


def run_stream(settings: LearningSettings, task: Task, *, sleeps: bool, scored: str) -> Metrics:
    """Runs the learners on all scenes and returns all metrics by name.

    Args:
        sleeps: whether they sleep. scored: 'slow' or 'fast'.
    """
    run = _StreamRun(settings, task, sleeps=sleeps, scored=scored)
    for place in range(len(task.environment.scenes)):
        run.run_scene(place)
    return run.metrics()


@dataclass
class _Cost:
    """Cost: optimiser steps, sample-gradients, s asleep."""

    steps: int = 0
    samples: int = 0
    fast_steps: int = 0
    fast_samples: int = 0
    sleep_seconds: float = 0.0


@dataclass
class _Scores:
    """Intermediate scores."""

    matrix: list[list[float]] = field(default_factory=list)
    fast_matrix: list[list[float]] = field(default_factory=list)
    gains: list[float | None] = field(default_factory=list)
    fast_at: dict[int, list[float]] = field(default_factory=lambda: {step: [] for step in FAST_STEPS})
    online: list[tuple[float, float]] = field(default_factory=list)
    earlier: list[tuple[float, float]] = field(default_factory=list)
    rolled_back: int = 0
    sleeps: list[dict[str, float]] = field(default_factory=list)


class _StreamRun:
    def __init__(self, settings: LearningSettings, task: Task, *, sleeps: bool, scored: str) -> None:
        self._settings, self._task, self._sleeps = settings, task, sleeps
        size = task.environment.z_size
        self._online = ClsOnlineLearner(settings, task.robot, size, task.seed)
        # Without sleep Slow has no influence on Fast, so where only Fast is scored it is not run.
        needs_slow = sleeps or scored == 'slow'
        self._consolidator = ClsConsolidator(settings, task.robot, size, task.seed) if needs_slow else None
        self._fast: Predictor = LearnerPredictor(self._online.fast)
        slow = None if self._consolidator is None else LearnerPredictor(self._consolidator.slow)
        self._scored: Predictor = slow if slow is not None and scored == 'slow' else self._fast
        self._slow: Predictor | None = slow
        self._cost, self._scores = _Cost(), _Scores()

    def run_scene(self, place: int) -> None:
        task, fast = self._task, self._settings.fast
        for step, transition in enumerate(task.environment.transitions(place), 1):
            experience = self._online.learn(self._online.prepare(transition))
            self._cost.fast_steps += 1
            self._cost.fast_samples += min(1 + fast.recent + fast.older, experience.sequence)
            if self._consolidator is not None:
                self._consolidator.learn(experience)
                due = experience.sequence % self._settings.slow.wake_interval == 0
                self._cost.steps += due
                self._cost.samples += due
            self._scores.online.append((experience.metrics['error_before'], experience.metrics['copy_error']))
            if step in FAST_STEPS:
                self._scores.fast_at[step].append(task.evaluator.skill_in(self._fast, place))
            if self._online.wants_sleep and self._sleeps:
                self._sleep(place)
            if step % 50 == 0:
                task.report(self._online.total_steps / task.protocol.total)
        self._close_stage(place)

    def _sleep(self, place: int) -> None:
        assert self._consolidator is not None
        evaluator, began = self._task.evaluator, time.monotonic()
        before, score = evaluator.errors(self._scored), self._score('before', place)
        sleep = self._consolidator.begin_sleep(self._online.state(), Goal())
        for _ in sleep.run():
            pass
        self._count(sleep.statistics.steps)
        self._cost.sleep_seconds += time.monotonic() - began
        state = {} if sleep.diverged else sleep.finish()
        if sleep.diverged or sleep.verdict.rolled_back:
            sleep.roll_back()
            self._scores.rolled_back += 1
            self._scores.gains.append(None)
        else:
            self._online.load(state)
            self._scores.gains.append(evaluator.gain(before, evaluator.errors(self._scored), place + 1))
        self._scores.sleeps.append(score | self._score('after', place))

    def _score(self, when: str, place: int) -> dict[str, float]:
        """Returns the skill of the scored model and of Fast on the scenes so far, before or after a sleep."""
        evaluator = self._task.evaluator
        return {
            when: evaluator.skill_until(evaluator.errors(self._scored), place + 1),
            f'fast_{when}': evaluator.skill_until(evaluator.errors(self._fast), place + 1),
        }

    def _count(self, steps: dict[str, int]) -> None:
        sleep, cost = self._settings.sleep, self._cost
        for phase, count in steps.items():
            if phase == 'tether':
                cost.fast_steps += count
                cost.fast_samples += count * sleep.batch_size
            else:
                cost.steps += count
                cost.samples += count * sleep.batch_size * (sleep.rem_k if phase == 'rem' else 1)

    def _close_stage(self, place: int) -> None:
        evaluator, scores = self._task.evaluator, self._scores
        scores.matrix.append(evaluator.skills(self._scored))
        scores.fast_matrix.append(evaluator.skills(self._fast))
        if self._slow is not None and place > 0:
            slow, fast = (
                float(torch.cat(evaluator.errors(model)[:place]).mean()) for model in (self._slow, self._fast)
            )
            scores.earlier.append((slow, fast))

    def metrics(self) -> Metrics:
        """Returns all metrics."""
        cost, scores = self._cost, self._scores
        trained = self._scored is not self._fast
        return {
            **self._task.evaluator.final_metrics(self._scored),
            **matrix_metrics(scores.matrix),
            **self._of_fast(),
            'sleep_gain': scores.gains,
            'sleep_gain_mean': _mean([g for g in scores.gains if g is not None]),
            'sleep_gain_worst': min((g for g in scores.gains if g is not None), default=None),
            'rolled_back': scores.rolled_back,
            'night_seconds': cost.sleep_seconds,
            **_of_sleeps(scores.sleeps),
            **budget(
                steps=cost.steps if trained else cost.fast_steps,
                samples=cost.samples if trained else cost.fast_samples,
                stored=stored(self._settings),
                fast_steps=cost.fast_steps if trained else None,
                fast_samples=cost.fast_samples if trained else None,
            ),
        }

    def _of_fast(self) -> dict[str, Any]:
        scores = self._scores
        at = {str(step): _mean(values) for step, values in scores.fast_at.items()}
        worst = {str(step): min(values, default=None) for step, values in scores.fast_at.items()}
        last = len(scores.fast_matrix) - 1
        quarter = max(len(scores.online) // 4, 1)
        return {
            'fast_at': at,
            'fast_at_worst': worst,
            'fast_skill': _mean(scores.fast_matrix[last]),
            'fast_own_scene': _mean([row[i] for i, row in enumerate(scores.fast_matrix)]),
            'fast_lived': [_prequential(scores.online[i : i + quarter]) for i in range(0, quarter * 4, quarter)],
            'earlier_scenes': _earlier(scores.earlier),
        }


def _of_sleeps(scores: list[dict[str, float]]) -> Metrics:
    """Scores around all sleeps, around the first one, and the worst after any, of the scored model and of Fast."""
    found: Metrics = {'sleep_scores': scores}
    if scores:
        for model in ('', 'fast_'):
            found |= {f'{model}first_sleep_{when}': scores[0][f'{model}{when}'] for when in ('before', 'after')}
            found[f'{model}after_sleep_worst'] = min(score[f'{model}after'] for score in scores)
    return found


def _prequential(steps: list[tuple[float, float]]) -> dict[str, float | None]:
    """Fast's mean error before learning each step, that of copying, and the skill."""
    error, copied = (_mean([step[i] for step in steps]) for i in (0, 1))
    return {'error': error, 'copied': copied, 'skill': skill(error, copied) if error is not None and copied else None}


def _earlier(found: list[tuple[float, float]]) -> dict[str, float | None]:
    """Mean errors of Slow and Fast on earlier scenes, at the ends of all scenes after the first."""
    return {'slow_error': _mean([s for s, _ in found]), 'fast_error': _mean([f for _, f in found])}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
