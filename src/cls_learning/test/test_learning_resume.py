"""A life that was interrupted is the life that was not: stopped anywhere, lost steps, a Fast that lived on alone."""

from collections.abc import Callable
import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_learning import state_bytes
from cls_learning.brain import Goal
from cls_learning.model_store.folder import ModelFolder

STEPS = 75  # with nights after 30 and 60


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tools: SimpleNamespace) -> dict[str, str]:
    """Hash of a life without interruption, by policy; the second one never saves by itself."""
    hashes = {}
    for kind in ('visit_count', 'prediction_error'):
        folder = _folder(tmp_path_factory, tools, kind)
        hashes[kind] = tools.Life(folder, tools.Body()).live(STEPS).hash()
        folder.close()
    return hashes


def _recipe(tools: SimpleNamespace, kind: str, interval: int = 0) -> Any:
    return tools.recipe({'policy.kind': kind, 'save_interval': interval})


def _folder(factory: pytest.TempPathFactory, tools: SimpleNamespace, kind: str) -> Any:
    folder = ModelFolder(factory.mktemp('life'), 'm')
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
def test_stopped_and_gone_on_it_is_the_same_life(
    stops: tuple[int, ...], interval: int, kind: str, tools: SimpleNamespace, open_life: Callable[..., Any],
    uninterrupted: dict[str, str],
) -> None:  # fmt: skip
    """Nothing is saved at a stop: the journal is learned again, its nights slept again, across all of them."""
    body, lived = tools.Body(), 0
    for stop in (*stops, STEPS):
        life = open_life(body=body, settings=_recipe(tools, kind, interval)).live(stop - lived)
        lived = stop
        life.folder.close()
    assert life.hash() == uninterrupted[kind]


def test_when_it_is_saved_makes_no_difference(
    tools: SimpleNamespace, open_life: Callable[..., Any], uninterrupted: dict[str, str]
) -> None:
    life = open_life(settings=_recipe(tools, 'visit_count'))
    for step in range(STEPS):
        life.live(1)
        if step % 20 == 7:
            life.save()
    assert life.hash() == uninterrupted['visit_count']


def test_the_reopened_half_is_bit_identical(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """Not the hashed weights alone: optimisers, memories, counters and the normaliser too."""
    life = open_life(body=tools.Body()).live(47)
    before = (life.waking.state(), life.session.consolidator.state(), life.session.consolidator.memory.state())
    life.folder.close()
    again = open_life()
    after = (again.waking.state(), again.session.consolidator.state(), again.session.consolidator.memory.state())
    for a, b in zip(before, after):
        assert a.keys() == b.keys()
        assert [name for name in a if not torch.equal(a[name], b[name])] == []
    assert again.session.cycles == 1 and again.session.sequence == 47


@pytest.mark.parametrize('steps', [0, 1, 29, 30, 31, 45, 60, 61])
def test_a_fast_that_died_gets_back_what_it_was(steps: int, open_life: Callable[..., Any]) -> None:
    """What slow_learner hands to a fast_learner that came back with nothing."""
    life = open_life().live(steps)
    assert life.session.rebuild_online() == life.waking.to_bytes()
    life.live(3)
    assert life.session.rebuild_online() == life.waking.to_bytes()


def test_a_night_that_was_taken_back_is_not_relived(open_life: Callable[..., Any]) -> None:
    life = open_life().live(20)
    for stop in (3, 8):
        night = life.session.begin_sleep(life.waking.to_bytes(), Goal())
        for _, _ in zip(range(stop), night.run()):
            pass
        night.roll_back()
    life.live(5).folder.close()
    assert open_life().hash() == life.hash()


def test_a_night_with_a_goal_is_relived_as_it_was(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    life = open_life().live(20)
    goal = Goal({'sws': 2, 'rem': -1, 'tether': 7})
    night = life.session.begin_sleep(life.waking.to_bytes(), goal)
    list(night.run())
    data = night.finish()
    life.waking.load_bytes(data)
    life.session.keep(night, goal, data, tools.NOW)
    life.live(5).folder.close()
    assert open_life().hash() == life.hash()


def test_a_repeated_experience_changes_nothing(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    life = open_life().live(9)
    experience = life.waking.learn(life.body.step(np.array([1.0, 2.0], np.float32)))
    life.session.learn(experience, tools.NOW)
    before = life.hash()
    for again in (experience, dataclasses.replace(experience, sequence=4)):
        life.session.learn(again, tools.NOW)
    assert life.hash() == before and len(life.session.consolidator.memory) == 10 and life.session.consolidator.gaps == 0


def hear(life: Any, tools: SimpleNamespace, lost: set[int], boundaries: set[int], steps: int) -> None:
    """Lives without acting nights; what is lost never reaches the sleeping half."""
    for _ in range(steps):
        number = life.waking.total_steps + 1
        experience = life.waking.learn(life.body.step(np.array([4.0, 1.0], np.float32), number in boundaries))
        if number not in lost:
            life.session.learn(experience, tools.NOW)


def test_lost_experiences_are_counted_and_leave_a_boundary(
    tools: SimpleNamespace, open_life: Callable[..., Any]
) -> None:
    """H2, H9."""
    life = open_life(settings=tools.recipe({'memory.kind': 'fifo'}))
    hear(life, tools, lost={5, 6, 12}, boundaries={1}, steps=16)
    half = life.session.consolidator
    assert half.gaps == 3 and half.sequence == 16 and len(half.memory) == 13
    assert half.memory.window_count(4) == 1 + 2 + 1  # of 1-4, 7-11 and 13-16


def test_after_losses_a_reopened_life_takes_no_number_twice(
    tools: SimpleNamespace, open_life: Callable[..., Any]
) -> None:
    """H2: had the lost steps begun an episode, the next one after reopening must not be taken for it."""
    life = open_life(settings=tools.recipe({'memory.kind': 'fifo'}))
    hear(life, tools, lost={5, 6}, boundaries={1, 5}, steps=9)
    assert life.waking.episode == 2
    life.folder.close()
    again = open_life()
    assert again.waking.episode == 2 and again.waking.total_steps == 9
    hear(again, tools, lost=set(), boundaries={10}, steps=3)
    assert again.waking.episode == 3
    assert again.session.consolidator.memory.window_count(3) == 2 + 1 + 1  # of 1-4, 7-9 and 10-12


@pytest.mark.parametrize('name', ['z', 'z_next', 'action_applied', 'joints_next'])
def test_what_is_no_number_is_not_remembered(name: str, tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """Neither learned from nor written down: one NaN would make the memory unreadable and every night diverge."""
    life = open_life().live(9)
    experience = life.waking.learn(life.body.step(np.array([1.0, 2.0], np.float32)))
    before = life.hash()
    for value in (np.nan, np.inf):
        spoilt = getattr(experience.transition, name).copy()
        spoilt[0] = value
        bad = dataclasses.replace(experience.transition, **{name: spoilt})
        life.session.learn(dataclasses.replace(experience, transition=bad), tools.NOW)
    short = dataclasses.replace(experience.transition, **{name: np.zeros_like(spoilt[:-1])})
    life.session.learn(dataclasses.replace(experience, transition=short), tools.NOW)
    assert life.hash() == before and life.session.sequence == 9
    life.live(3)
    assert life.session.consolidator.gaps == 1, 'counted as never heard'
    life.folder.close()
    assert open_life().session.sequence == 13


@pytest.mark.parametrize('name', ['z', 'z_next', 'action_commanded', 'action_applied', 'joints', 'joints_next'])
@pytest.mark.parametrize('value', [np.nan, np.inf, None])
def test_fast_refuses_what_can_not_be_learned_from(name: str, value: float | None, tools: SimpleNamespace) -> None:
    half, body = tools.waking(), tools.Body()
    for transition in body.walk(5):
        half.learn(transition)
    before = half.to_bytes()
    transition = next(body.walk(1))
    array = getattr(transition, name).copy()
    if value is None:
        array = np.append(array, array[:1])
    else:
        array[-1] = value
    with pytest.raises(
        UserError, match='finite numbers only' if value is not None else 'sizes of z, action and joints'
    ):
        half.learn(dataclasses.replace(transition, **{name: array}))
    assert half.to_bytes() == before


def test_a_fast_that_lived_on_alone_is_taken_over(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """slow_learner died and came back: Fast's steps are missed, its weights, normaliser and nights are not."""
    life = open_life().live(20)
    for transition in life.body.walk(15):
        life.waking.learn(transition)
    life.folder.close()
    again = open_life()
    assert again.session.sequence == 20
    again.session.adopt(life.waking.to_bytes(), 35, 'other run', tools.NOW)
    assert (
        again.session.sequence == 35 and again.session.consolidator.gaps == 15 and again.session.run_id == 'other run'
    )
    own, copy = life.waking.normalizer.state(), again.session.consolidator.normalizer.state()
    assert all(torch.equal(own[name], copy[name]) for name in own)
    assert again.session.rebuild_online() == life.waking.to_bytes()
    again.folder.close()
    third = open_life()
    assert third.waking.to_bytes() == life.waking.to_bytes() and third.session.sequence == 35


def test_a_night_that_only_fast_remembers_counts(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """slow_learner died between waking Fast and writing that down."""
    life = open_life().live(20)
    life.waking.wake_up()
    life.folder.close()
    again = open_life()
    again.session.adopt(life.waking.to_bytes(), 20, 'r', tools.NOW)
    assert again.session.cycles == 1
    assert again.session.consolidator.normalizer.version == life.waking.normalizer.version


def test_a_fast_from_before_is_not_taken_over(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    life = open_life().live(20)
    with pytest.raises(UserError, match='expected step 20 or later; found step 19'):
        life.session.adopt(life.waking.to_bytes(), 19, 'r', tools.NOW)
    with pytest.raises(UserError):
        life.session.adopt(state_bytes.pack({}), 21, 'r', tools.NOW)
    assert life.session.sequence == 20 and life.session.consolidator.gaps == 0


def test_what_comes_while_a_save_is_written_is_kept(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """It stands in the journal of before the save, which is written by another thread than the one that hears."""
    life = open_life(body=tools.Body()).live(10)
    ahead = [life.waking.learn(step) for step in tools.Body(scene=1).walk(3)]
    before = life.waking.to_bytes()
    life.session.write_down(ahead[0])
    life.session.write_down(ahead[2])  # one is missing: it may still be had, and comes first
    life.session.save(before, tools.NOW)
    life.session.write_down(ahead[1])
    life.folder.close()
    again = open_life(body=tools.Body())
    assert again.session.sequence == 12
    assert again.session.last is not None and np.array_equal(again.session.last.transition.z, ahead[1].transition.z)


@pytest.mark.parametrize('was_kept', [True, False])
def test_a_night_that_ended_while_slow_died_is_kept_where_fast_woke_from_it(
    was_kept: bool, tools: SimpleNamespace, open_life: Callable[..., Any]
) -> None:
    life = open_life(body=tools.Body()).live(28)
    goal = Goal({'sws': 2, 'rem': 1, 'tether': 1})
    life.session.announce(goal)
    life.folder.close()
    again = open_life(body=tools.Body())
    assert again.session.pending is not None and again.session.cycles == 0
    if was_kept:
        again.session.keep_pending(tools.NOW)
    assert again.session.pending is None or not was_kept
    twin = tools.Life(_twin(again, tools), tools.Body()).live(28)
    if was_kept:
        night = twin.session.begin_sleep(twin.waking.to_bytes(), goal)
        assert len(list(night.run())) == 4
        twin.waking.load_bytes(night.finish())
        twin.session.keep(night, goal, twin.waking.to_bytes(), tools.NOW)
    again.waking.load_bytes(again.session.online_bytes)
    assert again.hash() == twin.hash() and again.session.cycles == twin.session.cycles == was_kept
    twin.folder.close()


def _twin(life: Any, tools: SimpleNamespace) -> ModelFolder:
    folder = ModelFolder(life.folder.path.parent, 'twin')
    folder.create(life.session.config, b'')
    return folder
