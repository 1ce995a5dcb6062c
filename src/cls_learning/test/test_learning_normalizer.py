"""One mean per dimension, one scale for all; the snapshot changes in the first 512 steps and then after sleep only."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_learning.config import NormalizerSettings
from cls_learning.learners.normalizer import Normalizer

EARLY = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def fed(z: np.ndarray, **settings: Any) -> Normalizer:
    normalizer = Normalizer(NormalizerSettings(**settings), z.shape[1])
    for row in z.astype(np.float32):
        normalizer.observe(torch.from_numpy(row))
    normalizer.apply()
    return normalizer


def test_the_snapshot_is_due_at_powers_of_two_up_to_512() -> None:
    normalizer = Normalizer(NormalizerSettings(), 4)
    assert [step for step in range(1, 5000) if normalizer.is_due(step)] == EARLY
    identity = Normalizer(NormalizerSettings(kind='identity'), 4)
    assert not any(identity.is_due(step) for step in range(1, 5000))


def test_it_has_the_mean_of_each_dimension_and_one_scale() -> None:
    z = np.random.default_rng(0).normal(3.0, [0.1, 1.0, 10.0, 0.0], (200, 4))
    normalizer = fed(z)
    rows = z.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(normalizer.mean.numpy(), rows.mean(axis=0), rtol=1e-6)
    assert float(normalizer.scale) == pytest.approx(np.sqrt(rows.var(axis=0).mean()), rel=1e-6)
    x = normalizer.normalize(torch.from_numpy(z).float())
    assert x.abs().max() <= 10.0
    torch.testing.assert_close(normalizer.restore(x), torch.from_numpy(z).float(), rtol=1e-5, atol=1e-4)


def test_identical_frames_give_a_finite_scale() -> None:
    for value, floor in ((100.0, 0.1), (0.0, 1e-6)):
        normalizer = fed(np.full((50, 4), value))
        assert float(normalizer.scale) == pytest.approx(floor, rel=1e-4)
        far = normalizer.normalize(torch.full((4,), value + 1e6))
        assert torch.equal(far, torch.full((4,), 10.0)), 'clipped, not infinite'


def test_values_are_clipped() -> None:
    normalizer = fed(np.random.default_rng(0).normal(size=(100, 4)), clip=2.0)
    x = normalizer.normalize(torch.tensor([1e9, -1e9, 0.0, 0.0]))
    assert x.abs().max() == 2.0 and x[0] == 2.0 and x[1] == -2.0


def test_identity_changes_nothing() -> None:
    z = torch.tensor([1e9, -3.0, 0.0, 7.0])
    normalizer = fed(np.random.default_rng(0).normal(size=(100, 4)), kind='identity')
    assert torch.equal(normalizer.normalize(z), z) and torch.equal(normalizer.restore(z), z)


def test_the_version_rises_with_each_snapshot(tools: SimpleNamespace) -> None:
    """At steps 1, 2, 4 ... 512 and after each sleep; every experience names the version that Fast used."""
    learner = tools.online_learner(tools.recipe({'network.fast_hidden': 4, 'fast.recent': 1, 'fast.older': 0}))
    versions, scales = [], []
    for transition in tools.PanTiltWorld().walk(600):
        versions.append(int(learner.learn(transition).extras['normalizer_version'][0]))
        scales.append(float(learner.normalizer.scale))
    assert [i + 1 for i in range(600) if versions[i] != ([0] + versions)[i]] == EARLY
    assert len(set(scales[511:])) == 1, 'the scale is fixed until the next sleep'
    learner.begin_cycle()
    assert learner.normalizer.version == versions[-1] + 1
    assert float(learner.normalizer.scale) != scales[-1]


def test_the_copy_of_the_consolidator_follows_step_by_step(open_run: Callable[..., Any]) -> None:
    """After every experience and every sleep it equals the original, bit by bit."""
    run = open_run()
    for step in range(70):
        if step in (13, 40):
            run.world._is_new = True  # a boundary: both embeddings count
        run.step()
        own, copy = run.learner.normalizer.state(), run.session.consolidator.normalizer.state()
        assert all(torch.equal(own[name], copy[name]) for name in own), f'step {step + 1}'
    assert run.learner.cycles == 2


def test_state_round_trip() -> None:
    original = fed(np.random.default_rng(0).normal(2.0, 3.0, (64, 4)))
    copy = Normalizer(NormalizerSettings(), 4)
    copy.load(original.state())
    for normalizer in (original, copy):
        normalizer.observe(torch.tensor([5.0, -1.0, 0.0, 2.0]))
        normalizer.apply()
    a, b = original.state(), copy.state()
    assert all(torch.equal(a[name], b[name]) for name in a)
