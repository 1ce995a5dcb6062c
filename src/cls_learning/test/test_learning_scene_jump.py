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
    """Makes a random walk in which the scene changes without a boundary."""
    worlds: dict[int, Any] = {}
    joints, found = np.zeros(2), []
    generator = np.random.default_rng(seed)
    for step in range(steps):
        world = worlds.setdefault(scene_at(step), tools.PanTiltWorld(scene_at(step)))
        world.joints = joints
        found.append(world.step(generator.uniform(-10.0, 10.0, 2).astype(np.float32), boundary=step == 0))
        joints = world.joints
    return found


def episodes(tools: SimpleNamespace, transitions: list[Transition], **changes: Any) -> list[int]:
    learner = tools.online_learner(tools.recipe(SETTINGS | changes))
    return [learner.learn(t).episode for t in transitions]


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


def test_constant_noise_is_no_jump(tools: SimpleNamespace) -> None:
    generator = np.random.default_rng(1)
    noisy = walk(tools, 700, lambda _: 0)
    for transition in noisy:
        transition.z[:] += generator.normal(0.0, 3.0, len(transition.z)).astype(np.float32)
    assert largest_rise(noisy) < 0.2


def test_drifting_light_is_no_jump(tools: SimpleNamespace) -> None:
    drifting = walk(tools, 700, lambda _: 0)
    for at, transition in enumerate(drifting):
        transition.z[:] *= 1.0 - 0.5 * at / 700
    assert largest_rise(drifting) < 0.2


def test_a_limit_of_0_switches_it_off(tools: SimpleNamespace) -> None:
    found = episodes(tools, walk(tools, 600, lambda step: step >= 400), **{'memory.scene_jump': 0.0})
    assert set(found) == {1}


def test_another_scene_resets_visit_counts_and_raises_an_alarm(tools: SimpleNamespace) -> None:
    settings = tools.recipe(SETTINGS | {'policy.kind': 'visit_count', 'memory.capacity': 100})
    learner, consolidator = tools.online_learner(settings), ClsConsolidator(settings, tools.pan_tilt(), tools.Z_SIZE, 0)
    visits = []
    for transition in walk(tools, 700, lambda step: step >= 400):
        consolidator.learn(learner.learn(transition))
        visits.append(int(learner.policy.state()['policy.visits'].sum()))
    at = consolidator.watch.scene_changed_at
    assert 400 < at <= 425 and consolidator.watch.scene_changes == 1
    assert visits[at - 2] == at - 1 and visits[-1] <= 700 - at + 1
    assert consolidator.alarms == [f'another scene: a new episode began at step {at}']
    again = ClsConsolidator(settings, tools.pan_tilt(), tools.Z_SIZE, 0)
    again.load(consolidator.state())
    assert again.alarms == consolidator.alarms


def test_the_journal_gives_the_same_episodes_and_weights(open_run: Callable[..., Any], tools: SimpleNamespace) -> None:
    settings = tools.recipe(SETTINGS | {'policy.kind': 'visit_count'})
    run = open_run('a', settings=settings)
    for transition in walk(tools, 460, lambda step: step >= 400):
        run.session.learn(run.learner.learn(transition), tools.NOW)
    assert run.learner.episode == 2
    found, own = run.session.rebuild_online(), run.learner.to_bytes()
    assert found == own
    run.session.folder.sync()
    run.folder.close()
    again = open_run('a')
    assert again.learner.to_bytes() == own
    state, twin = run.session.consolidator.learner_state(), again.session.consolidator.learner_state()
    assert all(torch.equal(state[name], twin[name]) for name in state)
