"""A new episode begins where another scene is seen, and nowhere else."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_common.transition import Transition
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.memory.contract import Record
from cls_learning.memory.scene_jump import EVERY, rise

SETTINGS = {'fast.ring': 500, 'sleep.wake_steps_per_cycle': 10_000, 'memory.capacity': 2000}


def walk(tools: SimpleNamespace, steps: int, scene_at: Callable[[int], int], seed: int = 0) -> list[Transition]:
    """A walk in which the scene changes without a boundary."""
    bodies: dict[int, Any] = {}
    joints, found = np.zeros(2), []
    generator = np.random.default_rng(seed)
    for step in range(steps):
        body = bodies.setdefault(scene_at(step), tools.Body(scene_at(step)))
        body.joints = joints
        found.append(body.step(generator.uniform(-10.0, 10.0, 2).astype(np.float32), boundary=step == 0))
        joints = body.joints
    return found


def episodes(tools: SimpleNamespace, transitions: list[Transition], **changes: Any) -> list[int]:
    waking = tools.waking(tools.recipe(SETTINGS | changes))
    return [waking.learn(t).episode for t in transitions]


def largest_rise(transitions: list[Transition]) -> float:
    records = [
        Record(t.z, t.z_next, t.action_applied, t.action_commanded, t.joints, 0, 1, at)
        for at, t in enumerate(transitions)
    ]
    return float(np.nanmax([rise(records[max(0, at - 500) : at]) for at in range(EVERY, len(records), EVERY)]))


@pytest.mark.parametrize('seed', range(3))
def test_another_scene_begins_an_episode_within_25_steps(tools: SimpleNamespace, seed: int) -> None:
    found = episodes(tools, walk(tools, 700, lambda step: step >= 400, seed))
    assert found[:400] == [1] * 400 and found[424:] == [2] * 276


@pytest.mark.parametrize('seed', range(3))
def test_one_scene_is_one_episode(tools: SimpleNamespace, seed: int) -> None:
    assert largest_rise(walk(tools, 700, lambda _: 0, seed)) < 0.1


def test_a_scene_that_is_noise_all_along_is_high_but_never_jumps(tools: SimpleNamespace) -> None:
    generator = np.random.default_rng(1)
    noisy = walk(tools, 700, lambda _: 0)
    for transition in noisy:
        transition.z[:] += generator.normal(0.0, 3.0, len(transition.z)).astype(np.float32)
    assert largest_rise(noisy) < 0.2


def test_light_that_drifts_is_no_jump(tools: SimpleNamespace) -> None:
    drifting = walk(tools, 700, lambda _: 0)
    for at, transition in enumerate(drifting):
        transition.z[:] *= 1.0 - 0.5 * at / 700
    assert largest_rise(drifting) < 0.2


def test_it_can_be_switched_off(tools: SimpleNamespace) -> None:
    found = episodes(tools, walk(tools, 600, lambda step: step >= 400), **{'memory.scene_jump': 0.0})
    assert set(found) == {1}


def test_the_new_episode_is_told_and_counts_begin_at_0(tools: SimpleNamespace) -> None:
    settings = tools.recipe(SETTINGS | {'policy.kind': 'visit_count', 'memory.capacity': 100})
    waking, half = tools.waking(settings), ClsConsolidator(settings, tools.pan_tilt(), tools.Z_SIZE, 0)
    visits = []
    for transition in walk(tools, 700, lambda step: step >= 400):
        half.learn(waking.learn(transition))
        visits.append(int(waking.policy.state()['policy.visits'].sum()))
    at = half.watch.scene_changed_at
    assert 400 < at <= 425 and half.watch.scene_changes == 1 and visits[at - 2] == at - 1 and visits[-1] <= 700 - at + 1
    assert half.alarms == [f'another scene: a new episode began at step {at}']
    again = ClsConsolidator(settings, tools.pan_tilt(), tools.Z_SIZE, 0)
    again.load_bytes(half.to_bytes(), half.memory_to_bytes())
    assert again.alarms == half.alarms


def test_the_journal_gives_the_same_episodes_and_weights(open_life: Callable[..., Any], tools: SimpleNamespace) -> None:
    settings = tools.recipe(SETTINGS | {'policy.kind': 'visit_count'})
    life = open_life('a', settings=settings)
    for transition in walk(tools, 460, lambda step: step >= 400):
        life.session.learn(life.waking.learn(transition), tools.NOW)
    assert life.waking.episode == 2
    found, own = life.session.rebuild_online(), life.waking.to_bytes()
    assert found == own
    life.session.folder.sync()
    life.folder.close()
    again = open_life('a')
    assert again.waking.to_bytes() == own
    state, twin = life.session.consolidator.state(), again.session.consolidator.state()
    assert all(torch.equal(state[name], twin[name]) for name in state)
