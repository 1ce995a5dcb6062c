"""Shrink and perturb: the contract, what its settings do, and a model that sleeps with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cls_learning import testing
from cls_learning.registries import PHASES
from cls_training.training import train, TrainOptions


@pytest.fixture
def phase(installed: None) -> str:
    return 'shrink_perturb'


class TestShrinkPerturb(testing.PhaseSuite):
    """The contract of every sleep phase."""


def weights_after(steps: int, **own: float) -> torch.Tensor:
    values = {f'sleep.shrink_perturb.{name}': value for name, value in own.items()}
    sleep, generator = testing.make_sleep_context('shrink_perturb', **values), np.random.default_rng(0)
    for _ in range(steps):
        PHASES.find('shrink_perturb').PHASE.step(sleep, generator)
    return testing.weights(sleep.slow.online)


def test_shrinking_makes_weights_smaller_and_noise_makes_them_differ() -> None:
    plain = weights_after(20, shrink=0.0, noise=0.0)
    assert weights_after(20, shrink=0.02, noise=0.0).norm() < 0.95 * plain.norm()
    assert weights_after(20, shrink=0.0, noise=0.1).norm() > plain.norm()
    sleep = testing.make_sleep_context('shrink_perturb', **{'sleep.shrink_perturb.steps': 7})
    assert PHASES.find('shrink_perturb').PHASE.steps(sleep.settings) == 7


def test_a_model_sleeps_with_it(tmp_path: Path) -> None:
    chosen = {
        'sleep.phases': 'shrink_perturb sws', 'sleep.shrink_perturb.steps': 7, 'sleep.sws_steps': 2,
        'sleep.wake_steps_per_cycle': 40, 'network.slow_hidden': 16, 'sleep.batch_size': 8,
    }  # fmt: skip
    phases: list[str] = []
    options = TrainOptions(model='a', models_dir=tmp_path, steps=45, seed=1, encoder='thumbnail', overrides=chosen)
    train(options, lambda progress: phases.append(progress.phase))
    assert [phase for phase in phases if phase != 'wake'][:2] == ['shrink_perturb', 'sws']
    assert json.loads((tmp_path / 'a' / 'config.json').read_text())['values']['sleep.shrink_perturb.steps'] == 7
