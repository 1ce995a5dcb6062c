"""The sleep phase `anchor`: Slow keeps what memory needs; it is cancelled, saved and resumed like any other phase."""

from collections.abc import Callable
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_learning import testing
from cls_learning.brain import Goal, State
from cls_learning.consolidation import make
from cls_learning.registries import PENALTIES

PHASES = 'sws anchor tether'
SHORT = {'sleep.wake_steps_per_cycle': 12, 'sleep.probes': 0, 'sleep.sws_steps': 2}
CYCLE, SLEEP = 12, 2 + 1 + 3  # steps of each


def anchoring(tools: SimpleNamespace, **values: Any) -> Any:
    """Returns settings with the phase; `values` are those of `sleep.anchor`, dots as double underscores."""
    own = {f'sleep.anchor.{name.replace("__", ".")}': value for name, value in values.items()}
    return tools.recipe({**SHORT, 'sleep.phases': PHASES, 'sleep.anchor.samples': 10, **own})


def penalty_state(run: Any) -> State:
    found: State = run.session.consolidator.state()['consolidator']
    return {name: value for name, value in found.items() if name.startswith('slow.penalty.')}


def everything(run: Any) -> State:
    parts = run.session.consolidator.state()
    return {f'{part}/{name}': value for part, state in parts.items() for name, value in state.items()}


def assert_same(before: State, after: State) -> None:
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_every_sleep_anchors_and_slow_then_pays_for_changes_awake_and_asleep(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run(settings=anchoring(tools, ewc__weight=10.0)).train(CYCLE - 1)
    slow = run.session.consolidator.slow
    assert penalty_state(run) == {} and float(slow.penalty.loss()) == 0.0
    run.train(1)
    assert int(penalty_state(run)['slow.penalty.anchors']) == 1 and slow.penalty.divergence() == (0.0, 0.0)
    run.train(5)
    assert slow.penalty.divergence().l2 > 0.0 and float(slow.penalty.loss().detach()) > 0.0
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal({'sws': 1, 'tether': -1}))
    losses = {progress.phase: progress.loss for progress in sleep.run()}
    assert losses['anchor'] > 0.0 and sleep.statistics.means['anchor_l2'] > 0.0, 'how far it had moved'


@pytest.mark.parametrize('penalty', PENALTIES.names())
def test_a_larger_lambda_keeps_slow_nearer_to_its_anchor(
    penalty: str, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    moved = []
    for weight in (0.0, 1000.0):
        values = {'penalty': penalty, f'{penalty}__weight': weight}
        run = open_run(f'{weight:g}', settings=anchoring(tools, **values)).train(2 * CYCLE - 1)
        moved.append(run.session.consolidator.slow.penalty.divergence())
    assert moved[1].weighted < 0.7 * moved[0].weighted


@pytest.mark.parametrize('interval', [0, 1])
def test_an_interrupted_run_ends_in_the_same_weights_and_anchor(
    interval: int, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """By the journal from the beginning, and from the generation that each sleep saves; `si` has the most state."""
    settings = anchoring(tools, penalty='si', si__weight=5.0)
    whole = open_run('whole', settings=tools.recipe({**settings.to_flat(), 'save_interval': 0})).train(30)
    world, done = tools.PanTiltWorld(), 0
    for stop in (CYCLE + 1, 2 * CYCLE, 30):
        run = open_run(world=world, settings=tools.recipe({**settings.to_flat(), 'save_interval': interval}))
        run.train(stop - done).folder.close()
        done = stop
    assert run.hash() == whole.hash()
    assert int(penalty_state(whole)['slow.penalty.anchors']) == 2
    assert_same(everything(whole), everything(run))


@pytest.mark.parametrize('penalty', PENALTIES.names())
def test_a_sleep_that_is_not_kept_takes_its_anchor_back(
    penalty: str, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """Before the first anchor and after one; cancelled before and after the phase, and refused at its end."""
    run = open_run(settings=anchoring(tools, penalty=penalty))
    for steps in (CYCLE - 1, 5):
        run.train(steps)
        before = everything(run)
        for stop in (2, 3, SLEEP):
            sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
            seen = [progress.phase for _, progress in zip(range(stop), sleep.run())]
            assert ('anchor' in seen) == (stop > 2)
            if stop == SLEEP:
                sleep.finish()
            sleep.roll_back()
            assert_same(before, everything(run))


def test_an_anchor_that_waits_for_a_change_is_made_in_the_first_sleep_and_after_each_change(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run(settings=anchoring(tools, when='change')).train(3 * CYCLE)
    slow, watch = run.session.consolidator.slow, run.session.consolidator.watch
    assert slow.penalty.anchors == 1 and not watch.has_changed and watch.change.steps == 3 * CYCLE
    watch.change.refreeze()
    for error in (*np.random.default_rng(0).random(300), *(9.0,) * 40):
        watch.observe_error(float(error))
    assert watch.has_changed
    run.train(CYCLE - 1)
    before = everything(run)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
    list(sleep.run())
    sleep.finish()
    assert slow.penalty.anchors == 2 and not watch.has_changed and watch.change.is_calibrating
    sleep.roll_back()
    assert_same(before, everything(run))
    assert slow.penalty.anchors == 1 and watch.has_changed, 'the next sleep anchors'
    run.train(1 + CYCLE)
    assert slow.penalty.anchors == 2
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
    list(sleep.run())
    assert sleep.statistics.status['anchor'] == 'skipped: no change was found since the last anchor'


def test_the_detector_that_anchors_wait_for_goes_on_after_an_interruption(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """Else what an interrupted run keeps of a change depends on when it was interrupted."""
    settings, world = anchoring(tools, when='change'), tools.PanTiltWorld()
    whole = open_run('whole', settings=settings).train(2 * CYCLE + 3)
    open_run(world=world, settings=settings).train(CYCLE + 5).folder.close()
    run = open_run(world=world, settings=settings).train(CYCLE - 2)
    assert_same(everything(whole), everything(run))
    assert run.session.consolidator.watch.change.steps == 2 * CYCLE + 3


def test_a_model_without_the_phase_has_no_further_state_and_no_further_settings(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run(settings=tools.recipe(SHORT)).train(CYCLE)
    assert run.session.consolidator.slow.penalty is None and penalty_state(run) == {}
    assert not [name for name in run.session.config.settings.to_flat() if name.startswith('sleep.anchor')]


def test_with_a_lambda_of_0_the_phase_changes_no_weight(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    plain = open_run('plain', settings=tools.recipe({**SHORT, 'sleep.phases': 'sws tether'})).train(2 * CYCLE + 1)
    anchored = open_run('anchored', settings=anchoring(tools, ewc__weight=0.0)).train(2 * CYCLE + 1)
    assert anchored.hash() == plain.hash() and penalty_state(anchored)


def test_importance_of_a_recurrent_model_includes_that_of_its_state() -> None:
    values = {'network.world_model': 'gru', 'memory.piece_length': 8}
    context = testing.make_sleep_context('anchor', **values)
    result = make('anchor').step(context, np.random.default_rng(0))
    assert math.isfinite(result.loss)
    assert bool(context.slow.state()['slow.penalty.importance.hidden_gates.weight'].any())


def test_synaptic_intelligence_follows_slow_by_its_gradients_before_they_are_clipped() -> None:
    values = {'sleep.anchor.penalty': 'si', 'network.gradient_norm': 1e-3}
    context = testing.make_sleep_context('anchor', **values)
    slow, batch = context.slow, context.memory.transitions(8, np.random.default_rng(1))
    weights = dict(slow.online.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    path = slow.penalty.state()

    def loss() -> torch.Tensor:
        return (slow.forward(batch.z, batch.action) - batch.z_next).square().mean()

    gradients = torch.autograd.grad(loss(), list(weights.values()))
    assert float(torch.nn.utils.get_total_norm(gradients)) > 1e-2, 'clipped to a tenth or less'
    slow.update_asleep(loss())
    after = slow.penalty.state()
    for (name, weight), gradient in zip(weights.items(), gradients):
        expected = -gradient * (weight.detach() - before[name])
        found = after[f'path.{name}'] - path[f'path.{name}']
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().max()))
