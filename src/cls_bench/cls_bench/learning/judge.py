"""Scores a model in one world: the same frames, components and readout for every row."""

from collections.abc import Sequence
from typing import Any

import torch

from cls_learning.randomness import derive

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
from .world import steps_of, World

Figures = dict[str, Any]


class Judge:
    """Knows what all rows are scored on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.spectrum = spectrum(world.scenes)
        self._tests = [scene.test() for scene in world.scenes]
        self._copied = [errors(t.z, t.z_next) for t in self._tests]

    def skills(self, model: Predictor) -> list[float]:
        """Returns the skill on the test walks of each scene: one row of the accuracy matrix."""
        copied = [float(c.mean()) for c in self._copied]
        return [skill(float(errors_.mean()), c) for errors_, c in zip(self.errors(model), copied)]

    def errors(self, model: Predictor) -> list[torch.Tensor]:
        """Returns the error of each test step, by scene."""
        return [errors(predict(model, t.z, t.action, t.history), t.z_next) for t in self._tests]

    def skill_in(self, model: Predictor, scene: int) -> float:
        """Returns the skill on the test walks of one scene, by its place in life."""
        return skill_of(model, self._tests[scene])

    def skill_until(self, found: Sequence[torch.Tensor], scenes: int) -> float:
        """Returns the mean skill on the scenes learned in so far from errors of each test step, by scene."""
        pairs = list(zip(found, self._copied))[:scenes]
        return sum(skill(float(e.mean()), float(c.mean())) for e, c in pairs) / len(pairs)

    def gain(self, before: Sequence[torch.Tensor], after: Sequence[torch.Tensor], scenes: int) -> float:
        """Returns the mean gain of skill on the scenes lived in so far, on the same test steps before and after."""
        pairs = list(zip(before, after, self._copied))[:scenes]
        return sum(float(((b - a).mean()) / c.mean()) for b, a, c in pairs) / len(pairs)

    def final(self, model: Predictor) -> Figures:
        """Returns every figure of a model as it is at the end of its life."""
        scenes = self.world.scenes
        draws = torch.Generator().manual_seed(derive(self.world.seed, 'bench.judge'))
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
            **self._of_single_steps(model, draws), **self._pose(model),
        }  # fmt: skip

    def _of_single_steps(self, model: Predictor, draws: torch.Generator) -> Figures:
        """Returns what is asked of steps without what came before; None where a body acts late."""
        if self.world.acts_late:
            return {'uniform_skill': None, 'skill_by_move': None, 'still_error': None}
        return {
            'uniform_skill': _mean([skill_of(model, s.pairs) for s in self.world.scenes]),
            'skill_by_move': _means([skill_by_move(model, s.tests, draws) for s in self.world.scenes]),
            'still_error': _mean([still_error(model, test) for test in self._tests]),
        }

    def _pose(self, model: Predictor) -> Figures:
        figures: Figures = {}
        names = ('true', 'predicted', 'copied')
        for k in POSE_HORIZONS:
            errors = (pose_errors(model, scene, k) for scene in self.world.scenes)
            # Scenes whose poses can't be read even from true embeddings say nothing: they are counted and left out.
            found = [e for e in errors if e is not None and gain(e) is not None]
            mean = PoseErrors(*(_mean([getattr(e, n) for e in found]) for n in names)) if found else None
            figures |= {f'pose_{name}_{k}': getattr(mean, name, None) for name in names}
            figures |= {f'pose_gain_{k}': gain(mean) if mean else None, f'pose_scenes_{k}': len(found)}
        return figures

    def of_world(self) -> Figures:
        """Returns what can be said of world and encoder without any model."""
        overlaps = [overlap(scene) for scene in self.world.scenes]
        return {
            'first_component': self.spectrum.first_share, 'participation_ratio': self.spectrum.participation,
            'step_share': self.spectrum.step_share, 'overlap': _mean(overlaps), 'overlap_worst': min(overlaps),
        }  # fmt: skip


def of_matrix(matrix: stages.Matrix) -> Figures:
    """Returns what the accuracy matrix says, and the matrix."""
    return {
        'matrix': [list(row) for row in matrix], 'average': stages.average(matrix), 'own_scene': stages.own(matrix),
        'forgetting': stages.forgetting(matrix), 'bwt': stages.backward_transfer(matrix),
        'fwt': stages.forward_transfer(matrix),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float('nan')


def _means(found: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in found[0]:
        values = [value for each in found if (value := each[name]) is not None]
        means[name] = _mean(values) if values else None
    return means
