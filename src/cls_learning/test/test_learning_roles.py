"""Which weights each phase and step trains; all others stay bit-identical."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_learning.brain import Goal, State

SKIP = {'sws': -1, 'rem': -1, 'tether': -1}


def changed(before: State, after: State) -> set[str]:
    """Groups of tensors that differ, such as 'slow.raw'."""
    assert before.keys() <= after.keys()
    names = {name for name in after if name not in before or not torch.equal(before[name], after[name])}
    return {'.'.join(name.split('.')[:2]) for name in names}


@pytest.fixture
def run(tools: SimpleNamespace, open_run: Callable[..., Any]) -> Any:
    """A run one step before its first sleep."""
    return open_run(settings=tools.recipe({'policy.kind': 'prediction_error'})).train(29)


@pytest.mark.parametrize(
    'phase, consolidator, online',
    [
        ('sws', {'slow.raw', 'slow.acting', 'slow.sleep_optimizer'}, set()),
        ('rem', {'slow.raw', 'slow.acting', 'slow.sleep_optimizer'}, set()),
        ('tether', {'tether.optimizer'}, {'fast.raw', 'fast.acting'}),
    ],
)
def test_a_phase_trains_one_learner(run: Any, phase: str, consolidator: set[str], online: set[str]) -> None:
    """Fast is frozen in SWS and REM, Slow in Tether; only the optimiser of the phase changes."""
    own = run.session.consolidator
    before, fast_before = own.learner_state(), run.learner.state()
    sleep_run = own.begin_sleep(run.learner.state(), Goal(SKIP | {phase: 5}))
    assert [p.step for p in sleep_run.run()] == [1, 2, 3, 4, 5]
    assert changed(before, own.learner_state()) == consolidator
    assert changed(fast_before, own.online_copy.state()) == online
    assert sleep_run.statistics.refused == 0


def test_a_wake_step_of_slow_does_not_change_fast(run: Any, tools: SimpleNamespace) -> None:
    experience = run.learner.learn(run.world.step(np.array([3.0, -2.0], np.float32)))
    fast, slow = run.learner.state(), run.session.consolidator.learner_state()
    run.session.learn(experience, tools.NOW)
    assert changed(fast, run.learner.state()) == set()
    moved = changed(slow, run.session.consolidator.learner_state())
    assert {'slow.raw', 'slow.acting', 'slow.wake_optimizer'} <= moved
    assert 'slow.sleep_optimizer' not in moved


def test_no_gradient_reaches_fast_from_distillation(run: Any) -> None:
    """The predictions that Slow learns from carry no graph."""
    own, batch = run.session.consolidator, run.learner.memory.sample(4, np.random.default_rng(0))
    predicted = run.learner.fast.predict(batch.z, batch.action)
    assert not predicted.requires_grad and predicted.grad_fn is None
    sleep_run = own.begin_sleep(run.learner.state(), Goal(SKIP | {'sws': 1, 'rem': 1}))
    for weight in own.online_copy.fast.online.parameters():
        weight.grad = None
    list(sleep_run.run())
    assert all(weight.grad is None for weight in own.online_copy.fast.online.parameters())


def test_only_the_policy_learns_from_curiosity(run: Any) -> None:
    """The gradient flows through Fast and changes nothing there."""
    learner = run.learner
    before = learner.state()
    assert learner.policy.learn(learner.memory, 28, np.random.default_rng(0)).keys() == {'policy_loss'}
    assert changed(before, learner.state()) == {'policy.actor', 'policy.optimizer'}
    assert all(weight.grad is None for weight in learner.fast.online.parameters())


@pytest.mark.parametrize('steps, is_due', [(4, False), (8, True), (9, False), (10, False), (12, True)])
def test_the_actor_learns_every_fourth_step_after_warmup(run: Any, steps: int, is_due: bool) -> None:
    """The warmup here is 5 steps."""
    learned = run.learner.policy.learn(run.learner.memory, steps, np.random.default_rng(0))
    assert bool(learned) is is_due


def test_there_are_five_separate_optimisers(run: Any) -> None:
    """Each with its own learning rate."""
    learner, own = run.learner, run.session.consolidator
    settings = learner.settings
    optimizers = [
        (learner.fast._optimizer, settings.fast.learning_rate, learner.fast.online),
        (own.slow._wake_optimizer, settings.slow.wake_learning_rate, own.slow.online),
        (own.slow._sleep_optimizer, settings.sleep.learning_rate, own.slow.online),
        (learner.policy._optimizer, settings.policy.learning_rate, learner.policy.actor),
        (own.tether, settings.sleep.tether_learning_rate, own.online_copy.fast.online),
    ]
    assert len({id(optimizer) for optimizer, _, _ in optimizers}) == 5
    for optimizer, rate, module in optimizers:
        assert optimizer.learning_rate == rate
        assert [id(p) for p in optimizer.weights] == [id(p) for p in module.parameters()]
