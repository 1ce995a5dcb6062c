"""One contract for every sleep phase; Slow's own predictions as targets, and samples chosen by their error."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_learning import testing
from cls_learning.brain import Goal
from cls_learning.consolidation import make
from cls_learning.consolidation.contract import frozen, hardest, SleepContext
from cls_learning.learners.learner import Learner
from cls_learning.memory.contract import Record
from cls_learning.registries import PHASES


@pytest.fixture(params=PHASES.names())
def phase(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestPhases(testing.PhaseSuite):
    """Every one, those of installed packages too."""


def take(phase: str, sleep: SleepContext, steps: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(steps):
        assert np.isfinite(make(phase).step(sleep, generator).loss)


def predicted(learner: Learner, sleep: SleepContext) -> torch.Tensor:
    batch = sleep.memory.transitions(40, np.random.default_rng(1))
    return learner.predict(batch.z, batch.action)


def change_in_sleep(weight: float) -> float:
    """Returns how far SWS moves the predictions of a Slow that has learned towards a Fast that knows nothing."""
    values = {'sleep.own_weight': weight, 'sleep.learning_rate': 1e-2, 'sleep.sws_target': 'fast', 'slow.average': 0.0}
    sleep = testing.make_sleep_context('sws', **values)
    take('rem', sleep, 80)
    sleep = replace(sleep, before=frozen(sleep.slow))
    assert sleep.before is not None
    old = predicted(sleep.before, sleep)
    take('sws', sleep, 20)
    assert torch.equal(predicted(sleep.before, sleep), old), 'the copy is not trained'
    return float((predicted(sleep.slow, sleep) - old).square().mean())


def test_own_predictions_as_targets_keep_what_slow_knew() -> None:
    assert change_in_sleep(10.0) < 0.3 * change_in_sleep(0.0)


def test_own_predictions_that_are_no_better_than_copying_are_not_kept() -> None:
    ignorant = frozen(testing.make_sleep_context('sws', records=0).slow)
    states = []
    for before in (None, ignorant):
        sleep = replace(testing.make_sleep_context('sws', **{'sleep.own_weight': 10.0}), before=before)
        take('sws', sleep, 5)
        states.append(sleep.slow.state())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize('weight', [0.0, 1.0])
def test_a_sleep_has_a_copy_of_slow_where_own_predictions_have_a_weight(
    weight: float, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    values = {'sleep.wake_steps_per_cycle': 40, 'sleep.own_weight': weight, 'sleep.probes': 0}
    run = open_run(settings=tools.recipe(values)).train(79)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal({'sws': 5, 'rem': -1, 'tether': -1}))
    list(sleep.run())
    assert (sleep.statistics.means.get('avg_l_own', 0.0) > 0.0) == (weight > 0.0)


def test_the_hardest_samples_are_those_of_large_error_relative_to_copying() -> None:
    errors, copied = torch.tensor([0.5, 0.9, 0.01, 0.4, 0.1]), torch.tensor([1.0, 1.0, 0.001, 0.4, 1.0])
    assert hardest(errors, copied, 2).tolist() == [1, 3], 'not the third, which hardly changes'


def error_on_rare_steps(phase: str, candidates: int) -> float:
    """Returns Slow's error on steps of another scene, 9 of 49 in memory, relative to copying."""
    values = {'sleep.candidates': candidates, 'sleep.learning_rate': 3e-3, 'slow.average': 0.0}
    sleep = testing.make_sleep_context(phase, **values)
    draws, z = np.random.default_rng(2), np.full(testing.Z_SIZE, 2.0, np.float32)
    rare = []
    for sequence in range(100, 109):
        action = draws.uniform(-10.0, 10.0, 2).astype(np.float32)
        z_next = z + np.float32(0.05) * action.sum()
        rare.append(Record(z, z_next, action, action, np.zeros(2), sequence, 1, sequence))
        sleep.memory.add(rare[-1])
        z = z_next
    take(phase, sleep, 60)
    z, z_next, action = (torch.from_numpy(np.stack([getattr(r, n) for r in rare])) for n in ('z', 'z_next', 'action'))
    return float((sleep.slow.predict(z, action) - z_next).square().mean() / (z - z_next).square().mean())


@pytest.mark.parametrize('phase', ['sws', 'rem'])
def test_with_candidates_sleep_learns_sooner_what_slow_predicts_worst(phase: str) -> None:
    assert error_on_rare_steps(phase, 5) < 0.8 * error_on_rare_steps(phase, 1)


@pytest.mark.parametrize('model', ['film', 'gru'])
@pytest.mark.parametrize('phase', ['sws', 'rem'])
def test_candidates_are_all_that_memory_has_where_it_is_small(phase: str, model: str) -> None:
    values = {'network.world_model': model, 'memory.piece_length': 12, 'sleep.candidates': 20}
    sleep = testing.make_sleep_context(phase, **values)
    before = [weight.detach().clone() for weight in sleep.slow.online.parameters()]
    take(phase, sleep, 2)
    assert any(not torch.equal(*pair) for pair in zip(before, sleep.slow.online.parameters()))
