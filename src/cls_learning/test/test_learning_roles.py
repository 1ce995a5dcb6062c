"""Who learns when, and from whom: everybody else stays bit-identical (rows 000-020, 000-023, 000-031 to 000-041)."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_learning.brain import Goal
from cls_learning.learners.optimisation import State

SKIP = {'sws': -1, 'rem': -1, 'tether': -1}


def changed(before: State, after: State) -> set[str]:
    """Groups of tensors that differ, such as 'slow.raw'."""
    assert before.keys() <= after.keys()
    names = {name for name in after if name not in before or not torch.equal(before[name], after[name])}
    return {'.'.join(name.split('.')[:2]) for name in names}


@pytest.fixture
def life(tools: SimpleNamespace, open_life: Callable[..., Any]) -> Any:
    """A day's worth of life, one step before sleep."""
    return open_life(settings=tools.recipe({'policy.kind': 'prediction_error'})).live(29)


@pytest.mark.parametrize(
    'phase, sleeping, waking',
    [
        ('sws', {'slow.raw', 'slow.acting', 'slow.sleep_optimizer'}, set()),
        ('rem', {'slow.raw', 'slow.acting', 'slow.sleep_optimizer'}, set()),
        ('tether', {'tether.optimizer'}, {'fast.raw', 'fast.acting'}),
    ],
)
def test_a_phase_trains_its_own(life: Any, phase: str, sleeping: set[str], waking: set[str]) -> None:
    """Fast is frozen in SWS and REM, Slow in Tether; only optimisers of the phase's own move."""
    half = life.session.consolidator
    before, fast_before = half.state(), life.waking.state()
    night = half.begin_sleep(life.waking.state(), Goal(SKIP | {phase: 5}))
    assert [p.step for p in night.run()] == [1, 2, 3, 4, 5]
    assert changed(before, half.state()) == sleeping
    assert changed(fast_before, night._waking.state()) == waking
    assert night.statistics.refused == 0


def test_a_wake_step_of_slow_leaves_fast_alone(life: Any) -> None:
    experience = life.waking.learn(life.body.step(np.array([3.0, -2.0], np.float32)))
    fast, slow = life.waking.state(), life.session.consolidator.state()
    life.session.learn(experience, datetime(2025, 1, 1))
    assert changed(fast, life.waking.state()) == set()
    moved = changed(slow, life.session.consolidator.state())
    assert {'slow.raw', 'slow.acting', 'slow.wake_optimizer'} <= moved
    assert 'slow.sleep_optimizer' not in moved


def test_no_gradient_reaches_fast_from_distillation(life: Any) -> None:
    """Row 000-023: what Slow is taught with carries no graph."""
    half, batch = life.session.consolidator, life.waking.memory.sample(4, np.random.default_rng(0))
    predicted = life.waking.fast.predict(batch.z, batch.action)
    assert not predicted.requires_grad and predicted.grad_fn is None
    night = half.begin_sleep(life.waking.state(), Goal(SKIP | {'sws': 1, 'rem': 1}))
    for weight in night._waking.fast.raw.parameters():
        weight.grad = None
    list(night.run())
    assert all(weight.grad is None for weight in night._waking.fast.raw.parameters())


def test_only_the_policy_learns_from_curiosity(life: Any) -> None:
    """Row 000-059: the gradient flows through Fast and stops there."""
    waking = life.waking
    before = waking.state()
    assert waking.policy.learn(waking.memory, 28, np.random.default_rng(0)).keys() == {'policy_loss'}
    assert changed(before, waking.state()) == {'policy.actor', 'policy.optimizer'}
    assert all(weight.grad is None for weight in waking.fast.raw.parameters())


@pytest.mark.parametrize('steps, is_due', [(4, False), (8, True), (9, False), (10, False), (12, True)])
def test_the_actor_learns_every_fourth_step_after_warmup(life: Any, steps: int, is_due: bool) -> None:
    """Row 000-063, with a warmup of 5 steps."""
    learned = life.waking.policy.learn(life.waking.memory, steps, np.random.default_rng(0))
    assert bool(learned) is is_due


def test_five_optimisers_of_their_own(life: Any) -> None:
    """Row 000-020, each with its own learning rate (rows 000-017 to 000-019, 000-044)."""
    waking, half = life.waking, life.session.consolidator
    settings = waking.settings
    optimizers = [
        (waking.fast._optimizer, settings.fast.learning_rate, waking.fast.raw),
        (half.slow._wake_optimizer, settings.slow.wake_learning_rate, half.slow.raw),
        (half.slow._sleep_optimizer, settings.sleep.learning_rate, half.slow.raw),
        (waking.policy._optimizer, settings.policy.learning_rate, waking.policy.actor),
        (half._tether, settings.sleep.tether_learning_rate, half._tether_fast.fast.raw),
    ]
    assert len({id(optimizer) for optimizer, _, _ in optimizers}) == 5
    for optimizer, rate, module in optimizers:
        assert optimizer.learning_rate == rate
        assert [id(p) for p in optimizer.weights] == [id(p) for p in module.parameters()]
