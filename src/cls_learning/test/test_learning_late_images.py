"""Delayed images are paired with the actions whose outcome they show."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given, strategies
import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Transition
from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.late_images import can_pair, LateImages
from cls_learning.brains.cls.online_learner import ClsOnlineLearner

LEARNED = ('z', 'z_next', 'action_commanded', 'action_applied', 'joints', 'joints_next')
NO_SLEEP = {'sleep.wake_steps_per_cycle': 10_000}


def learn(learner: ClsOnlineLearner, transitions: Iterable[Transition]) -> None:
    for transition in transitions:
        learner.learn(learner.prepare(transition))


def assert_same(found: list[Transition], expected: list[Transition]) -> None:
    for one, other in zip(found, expected, strict=True):
        for name in LEARNED:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


@given(strategies.integers(1, 3), strategies.lists(strategies.integers(1, 12), min_size=1, max_size=5))
def test_a_late_chain_re_paired_equals_the_chain_without_delay(by: int, lengths: list[int]) -> None:
    world = TOOLS[0].PanTiltWorld()
    images = LateImages(world.robot)
    for number, length in enumerate(lengths):
        chain = [replace(t, boundary=i == 0) for i, t in enumerate(world.walk(length, number))]
        paired = [images.pair(t, by) for t in TOOLS[0].late(chain, by)]
        assert_same(paired[by:], chain[: max(length - by, 0)])
        for still in paired[:by]:
            assert not still.action_applied.any() and not still.action_commanded.any()
            np.testing.assert_array_equal(still.z, still.z_next)
            np.testing.assert_array_equal(still.joints, chain[0].joints)
            np.testing.assert_array_equal(still.joints_next, chain[0].joints)
        assert [t.boundary for t in paired] == [t.boundary for t in chain]
        assert [t.stamp_next for t in paired] == [t.stamp_next for t in chain]
        assert {t.image_delay for t in paired} == {by}


TOOLS: list[Any] = []


@pytest.fixture(autouse=True, scope='module')
def _tools(tools: SimpleNamespace) -> Iterator[None]:
    TOOLS[:] = [tools]
    yield
    TOOLS.clear()


def test_without_delay_a_transition_is_unchanged(tools: SimpleNamespace) -> None:
    images = LateImages(tools.pan_tilt())
    assert all(images.pair(t, 0) is t for t in tools.PanTiltWorld().walk(5))


def test_a_change_of_delay_is_a_boundary_and_the_motions_before_are_known(tools: SimpleNamespace) -> None:
    chain = list(tools.PanTiltWorld().walk(10))
    images = LateImages(tools.pan_tilt())
    paired = [images.pair(t, 2 if i >= 5 else 0, is_new=i == 5) for i, t in enumerate(tools.late(chain, 2))]
    assert [i for i, t in enumerate(paired) if t.boundary] == [0, 5]
    assert_same(paired[5:], chain[3:8])


def test_a_chain_without_a_known_beginning_begins_with_a_boundary(tools: SimpleNamespace) -> None:
    chain = list(tools.PanTiltWorld().walk(10))[4:]
    images = LateImages(tools.pan_tilt())
    assert [images.pair(t, 1).boundary for t in chain] == [True] + [False] * 5
    assert not any(LateImages(tools.pan_tilt()).pair(t, 0).boundary for t in chain)


def test_a_re_paired_transition_is_not_re_paired_again(tools: SimpleNamespace) -> None:
    first, second = LateImages(tools.pan_tilt()), LateImages(tools.pan_tilt())
    paired = [first.pair(t, 1) for t in tools.late(tools.PanTiltWorld().walk(10), 1)]
    assert all(second.pair(t, 1) is t for t in paired)


@pytest.mark.parametrize(
    'kind, joints, offered',
    [
        (Kind.RELATIVE, ('pan',), True),
        (Kind.VELOCITY, ('pan',), True),
        (Kind.ABSOLUTE, ('pan',), False),
        (Kind.DISCRETE, ('pan',), False),
        (Kind.VELOCITY, (), False),
    ],
)
def test_re_pairing_is_offered_for_robots_with_joints_that_rest_at_0(
    kind: Kind, joints: tuple[str, ...], offered: bool
) -> None:
    limits: dict[str, Any] = {'joint_low': (-1.0,) * len(joints), 'joint_high': (1.0,) * len(joints)}
    robot = RobotInfo('r', ('camera',), (Channel('a', kind, '', -1.0, 1.0),), joint_names=joints, **limits)
    assert can_pair(robot) is offered


@pytest.mark.parametrize('by', [1, 2, 3])
def test_the_measured_delay_is_used_from_step_128(tools: SimpleNamespace, by: int) -> None:
    learner = tools.online_learner(tools.recipe(NO_SLEEP))
    chain = list(tools.PanTiltWorld().walk(160))
    learn(learner, tools.late(chain, by))
    assert (learner.image_delay, learner.image_delay_since, learner.episode) == (by, 128, 2)
    newest = learner.memory.records()[-1]
    np.testing.assert_array_equal(newest.action, chain[-1 - by].action_applied)


def test_a_delay_that_is_over_is_dropped_after_the_next_sleep(tools: SimpleNamespace) -> None:
    learner = tools.online_learner(tools.recipe(NO_SLEEP))
    world = tools.PanTiltWorld()
    learn(learner, tools.late(world.walk(300), 1))
    learn(learner, world.walk(150, seed=1))
    assert learner.image_delay == 1
    learner.begin_cycle()
    assert (learner.image_delay, learner.image_delay_since) == (0, 450)


def test_a_configured_delay_stays(tools: SimpleNamespace) -> None:
    chain = list(tools.PanTiltWorld().walk(140))
    for given_delay in (0, 2):
        learner = tools.online_learner(tools.recipe({**NO_SLEEP, 'image_delay': given_delay}))
        learn(learner, tools.late(chain, 1))
        learner.begin_cycle()
        assert learner.image_delay == given_delay


def test_a_configured_delay_for_a_robot_without_joints_is_refused(tools: SimpleNamespace) -> None:
    with pytest.raises(UserError, match=r"'image_delay' for robot 'pan_tilt'; expected 0 or -1: .*; found 1"):
        tools.online_learner(tools.recipe({'image_delay': 1}), joint_names=(), joint_low=(), joint_high=())


def test_the_state_of_an_older_version_has_no_delay(tools: SimpleNamespace) -> None:
    learner = tools.online_learner()
    learn(learner, tools.PanTiltWorld().walk(30))
    state = {name: value for name, value in learner.state().items() if 'image_delay' not in name}
    again = tools.online_learner()
    again.load(state)
    assert (again.image_delay, again.image_delay_since, again.total_steps) == (0, 0, 30)


def test_the_alarm_states_whether_the_delay_is_corrected(tools: SimpleNamespace) -> None:
    learner = tools.online_learner(tools.recipe(NO_SLEEP))
    consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 0)
    alarms, shown = [], []
    for transition in tools.late(tools.PanTiltWorld().walk(260), 1):
        shown.append(consolidator.learn(learner.learn(learner.prepare(transition)))['image_delay'])
        alarms.append(next((alarm for alarm in consolidator.alarms if alarm.startswith('images')), ''))
    earlier = 'images are 1 step late: they show an earlier action; raise the settle time'
    assert alarms == [''] * 99 + [earlier] * 29 + ['images are 1 step late: taken into account'] * 132
    assert shown == [0.0] * 99 + [1.0] * 161


def train(run: Any, transitions: Iterable[Transition]) -> None:
    for transition in transitions:
        run.learn(transition)
        if run.learner.wants_sleep:
            run.sleep()


@pytest.mark.parametrize('stops', [(20,), (129, 200)])
def test_stopped_and_continued_late_images_are_paired_the_same(
    stops: tuple[int, ...], tools: SimpleNamespace, open_run: Callable[..., Any]
) -> None:
    """A restarted robot begins a chain; the same chains without a stop give the same weights."""
    recipe = tools.recipe({'save_interval': 0, 'sleep.wake_steps_per_cycle': 70})
    world = tools.PanTiltWorld()
    chains = [list(world.walk(end - begin, begin)) for begin, end in zip((0, *stops), (*stops, 240))]
    chains = [list(tools.late([replace(chain[0], boundary=True), *chain[1:]], 1)) for chain in chains]
    whole = open_run('whole', settings=recipe)
    for chain in chains:
        train(whole, chain)
    for chain in chains:
        parts = open_run('parts', settings=recipe)
        train(parts, chain)
        parts.folder.close()
    assert parts.learner.image_delay == 1 and parts.hash() == whole.hash()
    again = open_run('parts')
    assert again.hash() == whole.hash()
    assert all(torch.equal(value, whole.learner.state()[name]) for name, value in again.learner.state().items())


def test_re_pairing_restores_the_skill(tools: SimpleNamespace) -> None:
    skills = {}
    chain = list(tools.PanTiltWorld().walk(1040))
    for delay in (-1, 0):
        changes = {
            'image_delay': delay,
            'memory.capacity': 1000,
            'sleep.wake_steps_per_cycle': 260,
            'sleep.sws_steps': 60,
            'sleep.rem_steps': 20,
            'sleep.learning_rate': 3e-3,
        }
        learner = tools.online_learner(tools.recipe(changes))
        consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 0)
        for transition in tools.late(chain, 1):
            consolidator.learn(learner.learn(learner.prepare(transition)))
            if learner.wants_sleep:
                run = consolidator.begin_sleep(learner.state(), Goal())
                list(run.run())
                learner.load(run.finish())
        skills[delay] = consolidator.history.skill
    assert skills[-1] > 0.3 > 0.1 > skills[0], skills
