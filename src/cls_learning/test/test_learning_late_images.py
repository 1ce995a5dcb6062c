"""Images that are some steps late are given back to the actions whose outcome they show."""

from collections.abc import Callable, Iterator
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

WHAT_IS_LEARNED = ('z', 'z_next', 'action_commanded', 'action_applied', 'joints', 'joints_next')
NO_SLEEP = {'sleep.wake_steps_per_cycle': 10_000}


def late(chain: list[Transition], by: int) -> list[Transition]:
    """One unbroken chain, seen through a camera whose images come some steps late."""
    seen = [chain[0].z] * (by + 1) + [transition.z_next for transition in chain]
    return [replace(t, z=seen[i], z_next=seen[i + 1]) for i, t in enumerate(chain)]


def learn(waking: ClsOnlineLearner, transitions: list[Transition], images: LateImages | None = None) -> None:
    images = images or LateImages(waking.robot)
    for transition in transitions:
        waking.learn(images.pair(transition, waking.image_delay, is_new=waking.has_new_image_delay))


def assert_same(found: list[Transition], expected: list[Transition]) -> None:
    for one, other in zip(found, expected, strict=True):
        for name in WHAT_IS_LEARNED:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


@given(strategies.integers(1, 3), strategies.lists(strategies.integers(1, 12), min_size=1, max_size=5))
def test_a_late_walk_re_paired_is_the_walk_without_delay(by: int, lengths: list[int]) -> None:
    body = TOOLS[0].Body()
    images = LateImages(body.robot)
    for number, length in enumerate(lengths):
        chain = [replace(t, boundary=i == 0) for i, t in enumerate(body.walk(length, number))]
        paired = [images.pair(t, by) for t in late(chain, by)]
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


def test_without_delay_a_transition_is_left_as_it_is(tools: SimpleNamespace) -> None:
    images = LateImages(tools.pan_tilt())
    assert all(images.pair(t, 0) is t for t in tools.Body().walk(5))


def test_where_the_delay_changes_is_a_boundary_and_the_motions_before_are_known(tools: SimpleNamespace) -> None:
    chain = list(tools.Body().walk(10))
    images = LateImages(tools.pan_tilt())
    paired = [images.pair(t, 2 if i >= 5 else 0, is_new=i == 5) for i, t in enumerate(late(chain, 2))]
    assert [i for i, t in enumerate(paired) if t.boundary] == [0, 5]
    assert_same(paired[5:], chain[3:8])


def test_a_chain_of_which_the_beginning_is_not_known_begins_with_a_boundary(tools: SimpleNamespace) -> None:
    chain = list(tools.Body().walk(10))[4:]
    images = LateImages(tools.pan_tilt())
    assert [images.pair(t, 1).boundary for t in chain] == [True] + [False] * 5
    assert not any(LateImages(tools.pan_tilt()).pair(t, 0).boundary for t in chain)


def test_what_was_re_paired_before_is_not_re_paired_again(tools: SimpleNamespace) -> None:
    first, second = LateImages(tools.pan_tilt()), LateImages(tools.pan_tilt())
    paired = [first.pair(t, 1) for t in late(list(tools.Body().walk(10)), 1)]
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
def test_for_which_robots_it_is_offered(kind: Kind, joints: tuple[str, ...], offered: bool) -> None:
    limits: dict[str, Any] = {'joint_low': (-1.0,) * len(joints), 'joint_high': (1.0,) * len(joints)}
    robot = RobotInfo('r', ('camera',), (Channel('a', kind, '', -1.0, 1.0),), joint_names=joints, **limits)
    assert can_pair(robot) is offered


@pytest.mark.parametrize('by', [1, 2, 3])
def test_what_was_measured_is_taken_at_step_128(tools: SimpleNamespace, by: int) -> None:
    waking = tools.waking(tools.recipe(NO_SLEEP))
    chain = list(tools.Body().walk(160))
    learn(waking, late(chain, by))
    assert (waking.image_delay, waking.image_delay_since, waking.episode) == (by, 128, 2)
    newest = waking.memory.records()[-1]
    np.testing.assert_array_equal(newest.action, chain[-1 - by].action_applied)


def test_a_delay_that_is_over_is_taken_back_after_the_next_sleep(tools: SimpleNamespace) -> None:
    waking, images = tools.waking(tools.recipe(NO_SLEEP)), LateImages(tools.pan_tilt())
    body = tools.Body()
    learn(waking, late(list(body.walk(300)), 1), images)
    learn(waking, list(body.walk(150, seed=1)), images)
    assert waking.image_delay == 1
    waking.wake_up()
    assert (waking.image_delay, waking.image_delay_since) == (0, 450)


def test_a_delay_that_is_given_stays(tools: SimpleNamespace) -> None:
    chain = list(tools.Body().walk(140))
    for given_delay in (0, 2):
        waking = tools.waking(tools.recipe({**NO_SLEEP, 'image_delay': given_delay}))
        learn(waking, late(chain, 1))
        waking.wake_up()
        assert waking.image_delay == given_delay


def test_a_delay_given_for_a_robot_without_joints_is_refused(tools: SimpleNamespace) -> None:
    with pytest.raises(UserError, match=r"'image_delay' for robot 'pan_tilt'; expected 0 or -1: .*; found 1"):
        tools.waking(tools.recipe({'image_delay': 1}), joint_names=(), joint_low=(), joint_high=())


def test_the_state_of_an_older_version_has_no_delay(tools: SimpleNamespace) -> None:
    waking = tools.waking()
    learn(waking, list(tools.Body().walk(30)))
    state = {name: value for name, value in waking.state().items() if 'image_delay' not in name}
    again = tools.waking()
    again.load(state)
    assert (again.image_delay, again.image_delay_since, again.total_steps) == (0, 0, 30)


def test_that_it_is_taken_into_account_is_said(tools: SimpleNamespace) -> None:
    waking, images = tools.waking(tools.recipe(NO_SLEEP)), LateImages(tools.pan_tilt())
    half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 0)
    said, shown = [], []
    for transition in late(list(tools.Body().walk(260)), 1):
        paired = images.pair(transition, waking.image_delay, is_new=waking.has_new_image_delay)
        shown.append(half.learn(waking.learn(paired))['image_delay'])
        said.append(next((alarm for alarm in half.alarms if alarm.startswith('images')), ''))
    earlier = 'images are 1 step late: they show an earlier action; raise the settle time'
    assert said == [''] * 99 + [earlier] * 29 + ['images are 1 step late: taken into account'] * 132
    assert shown == [0.0] * 99 + [1.0] * 161


def live(life: Any, images: LateImages, transitions: list[Transition]) -> None:
    """As `Life.live`, with given actions and late images."""
    waking = life.waking
    for transition in transitions:
        paired = images.pair(transition, waking.image_delay, is_new=waking.has_new_image_delay)
        life.session.learn(waking.learn(paired), TOOLS[0].NOW)
        if waking.wants_sleep:
            life.sleep()


@pytest.mark.parametrize('stops', [(20,), (128,), (129, 200), (210, 211)])
def test_stopped_and_gone_on_late_images_are_paired_the_same(
    stops: tuple[int, ...], tools: SimpleNamespace, open_life: Callable[..., Any]
) -> None:
    """A robot that comes back begins a chain; the same chains without a stop give the same weights."""
    recipe = tools.recipe({'save_interval': 0, 'sleep.wake_steps_per_cycle': 70})
    body = tools.Body()
    chains = [list(body.walk(end - begin, begin)) for begin, end in zip((0, *stops), (*stops, 240))]
    chains = [late([replace(chain[0], boundary=True), *chain[1:]], 1) for chain in chains]
    whole = open_life('whole', settings=recipe)
    images = LateImages(body.robot)
    for chain in chains:
        live(whole, images, chain)
    for chain in chains:
        parts = open_life('parts', settings=recipe)
        live(parts, LateImages(body.robot), chain)
        parts.folder.close()
    assert parts.waking.image_delay == 1 and parts.hash() == whole.hash()
    again = open_life('parts')
    assert again.hash() == whole.hash()
    assert all(torch.equal(value, whole.waking.state()[name]) for name, value in again.waking.state().items())


def test_skill_comes_back(tools: SimpleNamespace) -> None:
    skills = {}
    chain = list(tools.Body().walk(1040))
    for delay in (-1, 0):
        changes = {
            'image_delay': delay, 'memory.capacity': 1000, 'sleep.wake_steps_per_cycle': 260, 'sleep.sws_steps': 60,
            'sleep.rem_steps': 20, 'sleep.learning_rate': 3e-3,
        }  # fmt: skip
        waking, images = tools.waking(tools.recipe(changes)), LateImages(tools.pan_tilt())
        half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 0)
        for transition in late(chain, 1):
            paired = images.pair(transition, waking.image_delay, is_new=waking.has_new_image_delay)
            half.learn(waking.learn(paired))
            if waking.wants_sleep:
                night = half.begin_sleep(waking.state(), Goal())
                list(night.run())
                waking.load_bytes(night.finish())
        skills[delay] = half.history.skill
    assert skills[-1] > 0.3 > 0.1 > skills[0], skills
