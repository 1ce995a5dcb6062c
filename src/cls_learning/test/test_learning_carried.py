"""The state of a recurrent world model: carried awake, rebuilt from history in replay, needed by robots with a lag."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.transition import Transition
from cls_learning import world_models
from cls_learning.brain import CONSOLIDATOR, Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings
from cls_learning.evaluation import gate
from cls_learning.evaluation.holdout import SEGMENT
from cls_learning.memory.contract import Record, to_batch
from cls_learning.runtime.online_step import online_step
from cls_learning.types import History

GRU = {'network.world_model': 'gru'}
# Weights that never change, so that a state can be computed twice.
STILL = {**GRU, 'fast.learning_rate': 0.0, 'normalizer.kind': 'identity', 'sleep.wake_steps_per_cycle': 1000}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def walk(tools: SimpleNamespace, steps: int, seed: int = 0) -> list[Transition]:
    return list(tools.PanTiltWorld().walk(steps, seed))


@pytest.fixture
def learner(tools: SimpleNamespace) -> ClsOnlineLearner:
    learner: ClsOnlineLearner = tools.online_learner(tools.recipe(STILL))
    # An untrained output does not depend on the state.
    with torch.no_grad():
        learner.fast.ema.output.weight.normal_(generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    return learner


def learners(tools: SimpleNamespace, settings: LearningSettings) -> tuple[ClsOnlineLearner, ClsConsolidator]:
    """Online learner and consolidator of one model."""
    return tools.online_learner(settings), ClsConsolidator(settings, tools.pan_tilt(), tools.Z_SIZE, 0)


def of_chain(learner: ClsOnlineLearner, steps: list[Transition]) -> Tensor:
    """The state after some steps from the initial one."""
    model, state = learner.fast.ema, learner.fast.ema.initial(1)
    for t in steps:
        action = learner.fast.code.to_input(torch.from_numpy(t.action_applied)[None])
        state = model.predict(state, torch.from_numpy(t.z)[None], action)[0]
    return state['hidden']


def test_awake_the_state_is_that_of_the_whole_chain(tools: SimpleNamespace, learner: ClsOnlineLearner) -> None:
    steps = walk(tools, 12)
    for count, transition in enumerate(steps, 1):
        experience = learner.learn(transition)
        torch.testing.assert_close(learner.fast.carried.now['hidden'], of_chain(learner, steps[:count]))
    z, action = torch.from_numpy(steps[-1].z)[None], torch.from_numpy(steps[-1].action_applied)[None]
    expected = learner.fast.predict(z, action, {'hidden': of_chain(learner, steps[:-1])})
    np.testing.assert_allclose(experience.extras['prediction_after'], expected[0].numpy(), rtol=1e-5)
    assert not np.allclose(experience.extras['prediction_after'], learner.fast.predict(z, action)[0].numpy(), rtol=1e-3)


def test_a_boundary_begins_from_the_initial_state(tools: SimpleNamespace, learner: ClsOnlineLearner) -> None:
    steps = walk(tools, 6)
    for i, transition in enumerate(steps):
        learner.learn(replace(transition, boundary=i in (0, 4)))
    torch.testing.assert_close(learner.fast.carried.now['hidden'], of_chain(learner, steps[4:]))


@pytest.mark.parametrize('end', ['terminal', 'truncated'])
def test_after_the_end_of_an_episode_the_state_is_the_initial_one(
    end: str, tools: SimpleNamespace, learner: ClsOnlineLearner
) -> None:
    *steps, last = walk(tools, 4)
    for transition in (*steps, replace(last, **{end: True})):
        learner.learn(transition)
    assert not learner.fast.carried.now['hidden'].any()


@pytest.mark.parametrize('early', [True, False])
def test_the_next_action_is_chosen_from_the_state_after_the_step(
    early: bool, tools: SimpleNamespace, learner: ClsOnlineLearner
) -> None:
    settings = tools.recipe({**STILL, 'act_before_learning': early})
    learner, steps, found = tools.online_learner(settings), walk(tools, 5), []
    for count, transition in enumerate(steps, 1):
        online_step(
            learner, transition, 'curiosity', True, lambda _: found.append(learner.fast.carried.now['hidden'].clone())
        )
        torch.testing.assert_close(found[-1], of_chain(learner, steps[:count]))
        torch.testing.assert_close(learner.fast.carried.now['hidden'], of_chain(learner, steps[:count]))
    assert len(found) == 5


def test_missing_steps_cut_the_state_of_the_slow_learner(tools: SimpleNamespace) -> None:
    settings = tools.recipe({**STILL, 'slow.wake_learning_rate': 0.0})
    learner, consolidator = learners(tools, settings)
    for transition in walk(tools, 8):
        experience = learner.learn(transition)
        if experience.sequence != 5:
            consolidator.learn(experience)
    held = learner.memory.records()[5:]
    action = consolidator.slow.code.to_input(torch.from_numpy(np.stack([r.action for r in held])))
    state = consolidator.slow.ema.initial(1)
    for a in action:
        state = consolidator.slow.ema.remember(state, torch.zeros(1, tools.Z_SIZE), a[None])
    torch.testing.assert_close(consolidator.slow.carried.now['hidden'], state['hidden'])


@pytest.mark.parametrize('kind, has_state', [('film', False), ('mlp', False), ('gru', True)])
def test_only_a_recurrent_model_has_a_state_to_save(kind: str, has_state: bool, tools: SimpleNamespace) -> None:
    settings = tools.recipe({'network.world_model': kind})
    learner, consolidator = learners(tools, settings)
    for transition in walk(tools, 5):
        consolidator.learn(learner.learn(transition))
    for state, name in ((learner.state(), 'fast'), (consolidator.state()[CONSOLIDATOR], 'slow')):
        found = [key for key in state if 'carried' in key]
        assert found == ([f'{name}.carried.hidden'] if has_state else [])
        assert all(state[key].any() for key in found)


@pytest.mark.parametrize('stops', [(1, 44), (10, 29, 30, 31), (17, 42)])
@pytest.mark.parametrize('policy', [{}, {'policy.reward': 'disagreement'}, {'policy.kind': 'prediction_error'}])
def test_a_resumed_run_equals_an_uninterrupted_one(
    stops: tuple[int, ...], policy: dict[str, str], tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """The journal is learned again, one sleep included: state, memories with their histories and all the rest."""
    settings = tools.recipe({**GRU, **policy, 'save_interval': 0})
    whole = open_run('whole', tools.PanTiltWorld(), settings).train(45)
    world, done = tools.PanTiltWorld(), 0
    for stop in (*stops, 45):
        run = open_run('parts', world, settings).train(stop - done)
        if stop == 17:
            run.save()
        done = stop
        run.folder.close()
    assert run.hash() == whole.hash()
    one, other = whole.learner.state(), run.learner.state()
    assert one.keys() == other.keys() and 'fast.carried.hidden' in one
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert whole.session.rebuild_online() == whole.learner.to_bytes()


def test_warming_up_is_the_chain_without_what_is_not_known() -> None:
    model = world_models.make('gru', z_size=6, action_size=2, hidden=(8,), residual=True, seed=1)
    z, action = draw(3, 4, 6), draw(3, 4, 2, seed=1)
    known = torch.tensor([[True] * 4, [False] * 2 + [True] * 2, [False] * 4])
    found = model.warm_up(History(z, action, known), 3)['hidden']
    for row, begin in ((0, 0), (1, 2), (2, 4)):
        state = model.initial(1)
        for c in range(begin, 4):
            state = model.predict(state, z[row : row + 1, c], action[row : row + 1, c])[0]
        torch.testing.assert_close(found[row : row + 1], state['hidden'])
    assert torch.equal(model.warm_up(None, 3)['hidden'], model.initial(3)['hidden'])


def test_what_to_remember_is_learned_through_the_history() -> None:
    model = world_models.make('gru', z_size=6, action_size=2, hidden=(8,), residual=False, seed=1)
    action = draw(3, 2, 2).requires_grad_()
    state = model.warm_up(History(draw(3, 2, 6), action, torch.ones(3, 2, dtype=torch.bool)), 3)
    model.predict(state, draw(3, 6), draw(3, 2))[1].square().sum().backward()
    assert action.grad is not None and action.grad.abs().amin() > 0


def test_held_out_steps_are_scored_with_the_state_of_their_segment(
    tools: SimpleNamespace, learner: ClsOnlineLearner
) -> None:
    steps = walk(tools, 10 * SEGMENT)
    records = [
        Record(t.z, t.z_next, t.action_applied, t.action_commanded, t.joints, 0, 0, i) for i, t in enumerate(steps)
    ]
    found = gate.score(learner.fast, to_batch(records))
    burn_in = learner.fast.ema.context
    assert found.errors.shape == found.exchanged.shape == found.copied.shape == (10, SEGMENT - burn_in)
    for segment in (0, 7):
        part = steps[segment * SEGMENT : (segment + 1) * SEGMENT]
        for i in range(burn_in, SEGMENT):
            z, action = torch.from_numpy(part[i].z)[None], torch.from_numpy(part[i].action_applied)[None]
            out = learner.fast.predict(z, action, {'hidden': of_chain(learner, part[:i])})
            error = float((out - torch.from_numpy(part[i].z_next)).square().mean())
            assert found.errors[segment, i - burn_in] == pytest.approx(error, rel=1e-4)


def skills(tools: SimpleNamespace, kind: str, lag: int) -> tuple[float, float]:
    """Skill of Fast and Slow over the last 100 of 400 steps, before learning each, of a robot with a lag."""
    settings = tools.recipe(
        {
            'network.world_model': kind,
            'sleep.wake_steps_per_cycle': 100,
            'sleep.sws_steps': 100,
            'sleep.rem_steps': 50,
            'memory.capacity': 400,
            'fast.recent': 15,
            'fast.older': 16,
            'fast.ring': 200,
            'fast.reservoir': 100,
            'fast.learning_rate': 1e-3,
            'sleep.learning_rate': 2e-3,
            'sleep.batch_size': 32,
            'sleep.virtual_share': 0.0,
        },
    )
    learner, consolidator = learners(tools, settings)
    errors: deque[tuple[float, float, float]] = deque(maxlen=100)
    for transition in tools.late(walk(tools, 400), lag):
        experience = learner.learn(transition)
        slow = consolidator.learn(experience)['slow_error']
        errors.append((experience.metrics['error_before'], slow, experience.metrics['copy_error']))
        if learner.wants_sleep:
            run = consolidator.begin_sleep(learner.state(), Goal())
            list(run.run())
            learner.load(run.finish())
    fast, slow, copied = np.sum(errors, axis=0)
    return 1 - fast / copied, 1 - slow / copied


def test_with_a_state_it_learns_what_an_action_does_later(tools: SimpleNamespace) -> None:
    without, recurrent = skills(tools, 'film', 1), skills(tools, 'gru', 1)
    assert max(without) < 0.2
    assert min(recurrent) > max(without) + 0.3


@pytest.mark.parametrize('early', [True, False])
def test_a_refused_step_leaves_the_state_as_it_was(early: bool, tools: SimpleNamespace) -> None:
    learner = tools.online_learner(tools.recipe({**STILL, 'act_before_learning': early}))
    *steps, last = walk(tools, 5)
    for transition in steps:
        learner.learn(transition)
    with pytest.raises(UserError):
        bad = np.full(2, np.nan, np.float32)
        online_step(learner, replace(last, action_applied=bad), 'curiosity', True, lambda _: None)
    torch.testing.assert_close(learner.fast.carried.now['hidden'], of_chain(learner, steps))
    learner.learn(last)
    torch.testing.assert_close(learner.fast.carried.now['hidden'], of_chain(learner, [*steps, last]))
