"""Scores models in one environment: the same frames, components and pose readout for every baseline."""

from collections.abc import Sequence
from typing import Any

import torch

from cls_learning.randomness import derive

from .environment import Environment, steps_of
from .metrics import matrix as stages
from .metrics.pose import gain, overlap, pose_errors, POSE_HORIZONS, PoseErrors
from .metrics.skill import (
    balanced_skill,
    errors,
    HORIZONS,
    shuffled_skill,
    skill,
    skill_at,
    skill_by_move,
    skill_of,
    still_error,
)
from .metrics.spectrum import spectrum
from .predictor import predict, Predictor

Metrics = dict[str, Any]


class Evaluator:
    """Holds the test data of one environment and scores predictors on it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.spectrum = spectrum(environment.scenes)
        self._tests = [scene.test() for scene in environment.scenes]
        self._copied = [errors(t.z, t.z_next) for t in self._tests]

    def skills(self, model: Predictor) -> list[float]:
        """Returns the skill on the test walks of each scene: one row of the accuracy matrix."""
        copied = [float(c.mean()) for c in self._copied]
        return [skill(float(errors_.mean()), c) for errors_, c in zip(self.errors(model), copied)]

    def errors(self, model: Predictor) -> list[torch.Tensor]:
        """Returns the error of each test step, a float64 tensor (test steps,) for each scene."""
        return [errors(predict(model, t.z, t.action, t.history), t.z_next) for t in self._tests]

    def skill_in(self, model: Predictor, scene: int) -> float:
        """Returns the skill on the test walks of one scene, by its position in the stream."""
        return skill_of(model, self._tests[scene])

    def skill_until(self, found: Sequence[torch.Tensor], scenes: int) -> float:
        """Returns the mean skill on the first `scenes` scenes, from errors (test steps,) by scene."""
        pairs = list(zip(found, self._copied))[:scenes]
        return sum(skill(float(e.mean()), float(c.mean())) for e, c in pairs) / len(pairs)

    def gain(self, before: Sequence[torch.Tensor], after: Sequence[torch.Tensor], scenes: int) -> float:
        """Returns the mean gain of skill on the first `scenes` scenes, from errors (test steps,) by scene, paired."""
        pairs = list(zip(before, after, self._copied))[:scenes]
        return sum(float(((b - a).mean()) / c.mean()) for b, a, c in pairs) / len(pairs)

    def final_metrics(self, model: Predictor) -> Metrics:
        """Returns all metrics of a model at the end of its stream, by name."""
        scenes = self.environment.scenes
        draws = torch.Generator().manual_seed(derive(self.environment.seed, 'bench.judge'))
        plain = [skill_of(model, test) for test in self._tests]
        shuffled = [shuffled_skill(model, test, draws) for test in self._tests]
        return {
            'skill': _mean(plain),
            'balanced_skill': _mean([balanced_skill(model, s, self.spectrum.basis) for s in scenes]),
            'shuffled_drop': _mean([a - b for a, b in zip(plain, shuffled)]),
            'skill_at': _means([skill_at(model, s.tests, HORIZONS) for s in scenes]),
            'skill_shifted': _means(
                [{name: skill_of(model, steps_of([walk])) for name, walk in s.shifted.items()} for s in scenes]
            ),
            **self._single_step_metrics(model, draws),
            **self._pose(model),
        }

    def _single_step_metrics(self, model: Predictor, draws: torch.Generator) -> Metrics:
        """Returns metrics of steps without the steps before them; None where a body acts late."""
        if self.environment.acts_late:
            return {'uniform_skill': None, 'skill_by_move': None, 'still_error': None}
        scenes = self.environment.scenes
        return {
            'uniform_skill': _mean([skill_of(model, s.pairs) for s in scenes]),
            'skill_by_move': _means([skill_by_move(model, s.tests, draws) for s in scenes]),
            'still_error': _mean([still_error(model, test) for test in self._tests]),
        }

    def _pose(self, model: Predictor) -> Metrics:
        metrics: Metrics = {}
        names = ('true', 'predicted', 'copied')
        for k in POSE_HORIZONS:
            errors = (pose_errors(model, scene, k) for scene in self.environment.scenes)
            # Scenes whose poses can't be read even from true embeddings are left out; `pose_scenes` counts the rest.
            found = [e for e in errors if e is not None and gain(e) is not None]
            mean = PoseErrors(*(_mean([getattr(e, n) for e in found]) for n in names)) if found else None
            metrics |= {f'pose_{name}_{k}': getattr(mean, name, None) for name in names}
            metrics |= {f'pose_gain_{k}': gain(mean) if mean else None, f'pose_scenes_{k}': len(found)}
        return metrics

    def environment_metrics(self) -> Metrics:
        """Returns metrics of environment and encoder that need no model."""
        overlaps = [overlap(scene) for scene in self.environment.scenes]
        return {
            'first_component': self.spectrum.first_share,
            'participation_ratio': self.spectrum.participation,
            'step_share': self.spectrum.step_share,
            'overlap': _mean(overlaps),
            'overlap_worst': min(overlaps),
        }


def matrix_metrics(matrix: stages.Matrix) -> Metrics:
    """Returns the accuracy matrix and the metrics derived from it."""
    return {
        'matrix': [list(row) for row in matrix],
        'average': stages.average(matrix),
        'own_scene': stages.own(matrix),
        'forgetting': stages.forgetting(matrix),
        'bwt': stages.backward_transfer(matrix),
        'fwt': stages.forward_transfer(matrix),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float('nan')


def _means(found: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in found[0]:
        values = [value for each in found if (value := each[name]) is not None]
        means[name] = _mean(values) if values else None
    return means
