"""Metrics of the benchmark for models with known predictions, and by hand."""

from bench_environment import environment, MATRIX
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import Tensor

from cls_bench.learning.environment import Pairs
from cls_bench.learning.evaluator import Evaluator
from cls_bench.learning.metrics import matrix
from cls_bench.learning.metrics.pose import gain, is_visited, overlap, PoseErrors, read_out
from cls_bench.learning.metrics.skill import skill_at
from cls_bench.learning.predictor import OneStepPredictor
from cls_bench.learning.statistics import clean, interval, mean, summary


class Copy(OneStepPredictor):
    """Predicts no change."""

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        return z


class Oracle(OneStepPredictor):
    """Predicts the linear environment of `bench_environment` exactly."""

    def __init__(self, matrix_: Tensor) -> None:
        self._matrix = matrix_

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        return z + action @ self._matrix.T


@pytest.fixture(scope='module')
def evaluator() -> Evaluator:
    return Evaluator(environment(scenes=2, steps=300))


def test_copying_has_skill_0_and_the_oracle_skill_1(evaluator: Evaluator) -> None:
    copied, true = evaluator.final_metrics(Copy()), evaluator.final_metrics(Oracle(MATRIX))
    for name in ('skill', 'balanced_skill', 'uniform_skill', 'pose_gain_1', 'pose_gain_5'):
        assert copied[name] == pytest.approx(0.0, abs=1e-9), name
    for name in ('skill', 'balanced_skill', 'uniform_skill'):
        assert true[name] == pytest.approx(1.0, abs=1e-3), name
    assert true['pose_gain_1'] == pytest.approx(1.0, abs=1e-2) and true['pose_gain_5'] == pytest.approx(1.0, abs=1e-2)
    assert all(value == pytest.approx(1.0, abs=1e-3) for value in true['skill_at'].values())
    assert list(true['skill_at']) == ['1', '3', '5', '10']
    assert copied['shuffled_drop'] == 0.0 and true['shuffled_drop'] > 0.5
    assert copied['still_error'] == 0.0 and set(copied['skill_by_move']) == {'0-2.5', '2.5-5', '5-10'}


def test_open_loop_skill_compares_with_copying_the_first_embedding() -> None:
    # Half of each move leaves half of the way for any number of steps: 1 - 0.5^2.
    half = Oracle(0.5 * MATRIX)
    walks = environment(scenes=1, steps=30).scenes[0].tests
    assert list(skill_at(half, walks, (1, 5)).values()) == pytest.approx([0.75, 0.75], abs=1e-4)
    assert skill_at(half, walks, (1000,)) == {'1000': None}


def test_gain_is_paired_by_test_step(evaluator: Evaluator) -> None:
    before, after = evaluator.errors(Copy()), evaluator.errors(Oracle(MATRIX))
    assert evaluator.gain(before, after, 1) == pytest.approx(1.0, abs=1e-3)
    assert evaluator.gain(after, after, 2) == 0.0


def test_the_spectrum_of_a_linear_environment_has_two_dimensions(evaluator: Evaluator) -> None:
    found = evaluator.environment_metrics()
    assert 1.0 <= found['participation_ratio'] <= 2.01 and 0.5 <= found['first_component'] <= 1.0
    basis = evaluator.spectrum.basis
    assert torch.allclose(basis.T @ basis, torch.eye(basis.shape[1]), atol=1e-4)


def test_pose_is_read_near_visited_poses() -> None:
    poses = torch.tensor([[0.0, 0.0], [9.0, 0.0], [30.0, 30.0]])
    assert is_visited(torch.tensor([[8.0, 6.0], [60.0, 0.0]]), poses).tolist() == [True, False]
    library = torch.arange(5.0)[:, None]
    assert read_out(torch.tensor([[2.0]]), library, poses[:1].expand(5, 2)).tolist() == [[0.0, 0.0]]
    scene = environment(scenes=1, steps=50).scenes[0]
    assert 0.0 <= overlap(scene) <= 1.0
    assert gain(PoseErrors(true=3.5, predicted=4.9, copied=7.0)) == pytest.approx(0.6)
    assert gain(PoseErrors(true=7.0, predicted=4.9, copied=7.0)) is None


def test_matrix_by_hand() -> None:
    found = [[0.5, 0.1, 0.0], [0.6, 0.4, 0.2], [0.3, 0.5, 0.7]]
    assert matrix.average(found) == pytest.approx(0.5) and matrix.own(found) == pytest.approx(1.6 / 3)
    # Scene 1 was at best 0.6 and ends at 0.3; scene 2 ends at its best.
    assert matrix.forgetting(found) == pytest.approx(0.15)
    assert matrix.backward_transfer(found) == pytest.approx((-0.2 + 0.1) / 2)
    assert matrix.forward_transfer(found) == pytest.approx((0.1 + 0.2) / 2)
    for figure in (matrix.forgetting, matrix.backward_transfer, matrix.forward_transfer):
        assert figure([[0.5]]) is None


@given(st.lists(st.lists(st.floats(-2, 1), min_size=4, max_size=4), min_size=4, max_size=4))
def test_forgetting_is_at_least_the_negative_backward_transfer(found: list[list[float]]) -> None:
    forgotten, backward = matrix.forgetting(found), matrix.backward_transfer(found)
    assert forgotten is not None and backward is not None
    assert forgotten >= max(0.0, -backward) - 1e-9


def test_intervals_by_hand() -> None:
    # Student's t for two degrees of freedom: 4.3027 / sqrt(3).
    assert interval([1.0, 2.0, 3.0]) == pytest.approx([2 - 2.4842, 2 + 2.4842], abs=1e-3)
    assert interval([1.0]) is None and interval([1.0, None]) is None
    assert mean([{'a': [1.0, None]}, {'a': [3.0, 2.0]}]) == {'a': [2.0, None]}
    found = summary([{'x': 1.0, 'low_worst': -1.0}, {'x': 3.0, 'low_worst': 2.0}])
    assert (found['x'], found['low_worst'], found['low_worst_ci']) == (2.0, -1.0, None)
    assert found['x_ci'] == pytest.approx([2 - 12.706, 2 + 12.706], abs=1e-2)


def test_clean_replaces_numbers_that_are_not_finite_by_none() -> None:
    found = clean({'a': float('nan'), 'b': (np.float32(1.0), np.inf), 'c': True})
    assert found == {'a': None, 'b': [1.0, None], 'c': True}


def test_skill_of_single_steps_from_uniform_poses() -> None:
    pairs = environment(scenes=1, steps=20).scenes[0].pairs
    assert isinstance(pairs, Pairs)
    assert torch.allclose(pairs.z_next, pairs.z + pairs.action @ MATRIX.T, atol=1e-4)
