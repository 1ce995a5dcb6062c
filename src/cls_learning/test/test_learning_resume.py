"""Interrupted runs end in the same weights as uninterrupted ones; lost steps; an online learner that ran alone."""

from collections.abc import Callable
import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest
import torch

from cls_common.errors import UserError
from cls_common.transition import Observation, Transition
from cls_learning import state_bytes
from cls_learning.brain import Goal
from cls_learning.model_store.folder import ModelFolder

STEPS = 75  # with sleeps after 30 and 60


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tools: SimpleNamespace) -> dict[str, str]:
    """Returns the hash of a run without interruption and saves, by policy."""
    hashes = {}
    for kind in ('visit_count', 'prediction_error'):
        folder = _folder(tmp_path_factory, tools, kind)
        hashes[kind] = tools.TrainingRun(folder, tools.PanTiltWorld()).train(STEPS).hash()
        folder.close()
    return hashes


def _recipe(tools: SimpleNamespace, kind: str, interval: int = 0) -> Any:
    return tools.recipe({'policy.kind': kind, 'save_interval': interval})


def _folder(factory: pytest.TempPathFactory, tools: SimpleNamespace, kind: str) -> Any:
    folder = ModelFolder(factory.mktemp('models'), 'm')
    folder.create(tools.config(_recipe(tools, kind)), b'')
    return folder


@pytest.mark.parametrize(
    'kind, interval, stops',
    [
        ('visit_count', 0, (1, 74)),
        ('visit_count', 0, (29, 30, 31)),
        ('visit_count', 1, (10, 20, 30, 40, 50, 60, 70)),
        ('visit_count', 2, (17, 59, 60, 61)),
        ('prediction_error', 0, (30, 60)),
        ('prediction_error', 1, (13, 31, 47)),
    ],
)
def test_an_interrupted_run_ends_in_the_same_weights(
    stops: tuple[int, ...],
    interval: int,
    kind: str,
    tools: SimpleNamespace,
    open_run: Callable[..., Any],
    uninterrupted: dict[str, str],
) -> None:
    """Nothing is saved at a stop: the journal is learned again, its sleeps too, over several stops."""
    world, done = tools.PanTiltWorld(), 0
    for stop in (*stops, STEPS):
        run = open_run(world=world, settings=_recipe(tools, kind, interval)).train(stop - done)
        done = stop
        run.folder.close()
    assert run.hash() == uninterrupted[kind]


def test_saves_do_not_change_the_weights(
    tools: SimpleNamespace, open_run: Callable[..., Any], uninterrupted: dict[str, str]
) -> None:
    run = open_run(settings=_recipe(tools, 'visit_count'))
    for step in range(STEPS):
        run.train(1)
        if step % 20 == 7:
            run.save()
    assert run.hash() == uninterrupted['visit_count']


def test_a_reopened_model_is_bit_identical(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    """Not the hashed weights alone: optimisers, memories, counters and the normaliser too."""
    run = open_run(world=tools.PanTiltWorld()).train(47)
    before = {'online': run.learner.state(), **run.session.consolidator.state()}
    run.folder.close()
    again = open_run()
    after = {'online': again.learner.state(), **again.session.consolidator.state()}
    assert before.keys() == after.keys() == {'online', 'consolidator', 'memory'}
    for part, state in before.items():
        assert state.keys() == after[part].keys()
        assert [name for name in state if not torch.equal(state[name], after[part][name])] == []
    assert again.session.cycles == 1 and again.session.sequence == 47


@pytest.mark.parametrize('steps', [0, 1, 29, 30, 31, 45, 60, 61])
def test_a_lost_online_learner_is_rebuilt_bit_for_bit(steps: int, open_run: Callable[..., Any]) -> None:
    """For a fast_learner that restarted without a state."""
    run = open_run().train(steps)
    assert run.session.rebuild_online() == run.learner.to_bytes()
    run.train(3)
    assert run.session.rebuild_online() == run.learner.to_bytes()


def test_a_sleep_that_was_rolled_back_is_not_repeated(open_run: Callable[..., Any]) -> None:
    run = open_run().train(20)
    for stop in (3, 8):
        sleep_run = run.session.begin_sleep(run.learner.to_bytes(), Goal())
        for _, _ in zip(range(stop), sleep_run.run()):
            pass
        sleep_run.roll_back()
    run.train(5).folder.close()
    assert open_run().hash() == run.hash()


def test_a_sleep_with_a_goal_is_repeated_with_that_goal(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    run = open_run().train(20)
    goal = Goal({'sws': 2, 'rem': -1, 'tether': 7})
    sleep_run = run.session.begin_sleep(run.learner.to_bytes(), goal)
    list(sleep_run.run())
    data = state_bytes.pack(sleep_run.finish())
    run.learner.load_bytes(data)
    run.session.keep(sleep_run, goal, data, tools.NOW)
    run.train(5).folder.close()
    assert open_run().hash() == run.hash()


def test_a_repeated_experience_is_ignored(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    run = open_run().train(9)
    experience = run.learner.learn(run.world.step(np.array([1.0, 2.0], np.float32)))
    run.session.learn(experience, tools.NOW)
    before = run.hash()
    for again in (experience, dataclasses.replace(experience, sequence=4)):
        run.session.learn(again, tools.NOW)
    assert run.hash() == before and len(run.session.consolidator.memory) == 10 and run.session.consolidator.gaps == 0


def train_with_losses(run: Any, tools: SimpleNamespace, lost: set[int], boundaries: set[int], steps: int) -> None:
    """Does wake steps without sleep; experiences with the sequences `lost` never reach the session."""
    for _ in range(steps):
        number = run.learner.total_steps + 1
        experience = run.learner.learn(run.world.step(np.array([4.0, 1.0], np.float32), number in boundaries))
        if number not in lost:
            run.session.learn(experience, tools.NOW)


def test_lost_experiences_are_counted_and_leave_a_boundary(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run(settings=tools.recipe({'memory.kind': 'fifo'}))
    train_with_losses(run, tools, lost={5, 6, 12}, boundaries={1}, steps=16)
    consolidator = run.session.consolidator
    assert consolidator.gaps == 3 and consolidator.sequence == 16 and len(consolidator.memory) == 13
    assert consolidator.memory.window_count(4) == 1 + 2 + 1  # of 1-4, 7-11 and 13-16


def test_after_losses_a_reopened_run_uses_no_episode_number_twice(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """Where the lost steps began an episode, the next one after reopening must not get the same number."""
    run = open_run(settings=tools.recipe({'memory.kind': 'fifo'}))
    train_with_losses(run, tools, lost={5, 6}, boundaries={1, 5}, steps=9)
    assert run.learner.episode == 2
    run.folder.close()
    again = open_run()
    assert again.learner.episode == 2 and again.learner.total_steps == 9
    train_with_losses(again, tools, lost=set(), boundaries={10}, steps=3)
    assert again.learner.episode == 3
    assert again.session.consolidator.memory.window_count(3) == 2 + 1 + 1  # of 1-4, 7-9 and 10-12


def with_array(transition: Transition, name: str, array: NDArray[Any]) -> Transition:
    """Returns a transition with another array, also for the embeddings `z` and `z_next`."""
    changes = {'z': 'before', 'z_next': 'after'}
    if name in changes:
        old = getattr(transition, changes[name])
        return dataclasses.replace(transition, **{changes[name]: Observation.of_embedding(array, old.stamp)})
    return dataclasses.replace(transition, **{name: array})


@pytest.mark.parametrize('name', ['z', 'z_next', 'action_applied', 'joints_next'])
def test_experiences_with_non_finite_numbers_are_refused(
    name: str, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """Neither learned from nor written down: one NaN in memory makes every sleep diverge."""
    run = open_run().train(9)
    experience = run.learner.learn(run.world.step(np.array([1.0, 2.0], np.float32)))
    before = run.hash()
    array = getattr(experience.transition, name)
    for value in (np.nan, np.inf):
        bad = with_array(experience.transition, name, np.append(np.float32(value), array[1:]).astype(array.dtype))
        run.session.learn(dataclasses.replace(experience, transition=bad), tools.NOW)
    short = with_array(experience.transition, name, array[:-1])
    run.session.learn(dataclasses.replace(experience, transition=short), tools.NOW)
    assert run.hash() == before and run.session.sequence == 9
    run.train(3)
    assert run.session.consolidator.gaps == 1, 'counted as not received'
    run.folder.close()
    assert open_run().session.sequence == 13


@pytest.mark.parametrize('name', ['z', 'z_next', 'action_commanded', 'action_applied', 'joints', 'joints_next'])
@pytest.mark.parametrize('value', [np.nan, np.inf, None])
def test_the_online_learner_refuses_invalid_transitions(name: str, value: float | None, tools: SimpleNamespace) -> None:
    learner, world = tools.online_learner(), tools.PanTiltWorld()
    for transition in world.walk(5):
        learner.learn(transition)
    before = learner.to_bytes()
    transition = next(world.walk(1))
    array = getattr(transition, name).copy()
    if value is None:
        array = np.append(array, array[:1])
    else:
        array[-1] = value
    expected = 'shapes of a transition' if value is None else 'finite numbers only'
    with pytest.raises(UserError, match=expected):
        learner.learn(with_array(transition, name, array))
    assert learner.to_bytes() == before


def test_an_online_learner_that_ran_alone_is_adopted(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    """slow_learner restarted: the steps it missed are a gap; weights, normaliser and cycles are taken over."""
    run = open_run().train(20)
    for transition in run.world.walk(15):
        run.learner.learn(transition)
    run.folder.close()
    again = open_run()
    assert again.session.sequence == 20
    again.session.adopt(run.learner.to_bytes(), 35, 'other run', tools.NOW)
    assert (again.session.sequence, again.session.consolidator.gaps, again.session.run_id) == (35, 15, 'other run')
    own, copy = run.learner.normalizer.state(), again.session.consolidator.normalizer.state()
    assert all(torch.equal(own[name], copy[name]) for name in own)
    assert again.session.rebuild_online() == run.learner.to_bytes()
    again.folder.close()
    third = open_run()
    assert third.learner.to_bytes() == run.learner.to_bytes() and third.session.sequence == 35


def test_a_sleep_known_to_the_online_learner_alone_counts(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    """slow_learner ended between sending the new weights and writing that down."""
    run = open_run().train(20)
    run.learner.begin_cycle()
    run.folder.close()
    again = open_run()
    again.session.adopt(run.learner.to_bytes(), 20, 'r', tools.NOW)
    assert again.session.cycles == 1
    assert again.session.consolidator.normalizer.version == run.learner.normalizer.version


def test_an_older_or_damaged_online_learner_is_not_adopted(
    tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run().train(20)
    with pytest.raises(UserError, match='expected step 20 or later; found step 19'):
        run.session.adopt(run.learner.to_bytes(), 19, 'r', tools.NOW)
    with pytest.raises(UserError):
        run.session.adopt(state_bytes.pack({}), 21, 'r', tools.NOW)
    assert run.session.sequence == 20 and run.session.consolidator.gaps == 0


def test_experiences_that_arrive_during_a_save_are_kept(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    """They are in the journal from before the save: another thread writes them than the one that saves."""
    run = open_run(world=tools.PanTiltWorld()).train(10)
    ahead = [run.learner.learn(step) for step in tools.PanTiltWorld(scene=1).walk(3)]
    before = run.learner.to_bytes()
    run.session.write_down(ahead[0])
    run.session.write_down(ahead[2])  # one is missing: it may still arrive, and comes first
    run.session.save(before, tools.NOW)
    run.session.write_down(ahead[1])
    run.folder.close()
    again = open_run(world=tools.PanTiltWorld())
    assert again.session.sequence == 12
    assert again.session.last is not None and np.array_equal(again.session.last.transition.z, ahead[1].transition.z)


@pytest.mark.parametrize('was_kept', [True, False])
def test_a_pending_sleep_is_kept_where_the_online_learner_woke_from_it(
    was_kept: bool, tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    run = open_run(world=tools.PanTiltWorld()).train(28)
    goal = Goal({'sws': 2, 'rem': 1, 'tether': 1})
    run.session.announce(goal)
    run.folder.close()
    again = open_run(world=tools.PanTiltWorld())
    assert again.session.pending is not None and again.session.cycles == 0
    if was_kept:
        again.session.keep_pending(tools.NOW)
    assert again.session.pending is None or not was_kept
    twin = tools.TrainingRun(_twin(again, tools), tools.PanTiltWorld()).train(28)
    if was_kept:
        sleep_run = twin.session.begin_sleep(twin.learner.to_bytes(), goal)
        assert len(list(sleep_run.run())) == 4
        twin.learner.load_bytes(state_bytes.pack(sleep_run.finish()))
        twin.session.keep(sleep_run, goal, twin.learner.to_bytes(), tools.NOW)
    again.learner.load_bytes(again.session.online_bytes)
    assert again.hash() == twin.hash() and again.session.cycles == twin.session.cycles == was_kept
    twin.folder.close()


def _twin(run: Any, tools: SimpleNamespace) -> ModelFolder:
    folder = ModelFolder(run.folder.path.parent, 'twin')
    folder.create(run.session.config, b'')
    return folder
