"""What a person should look at: a model that ignores actions, a camera that changed. Both ways, on real learners."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cls_common.transition import Transition
from cls_learning.brain import Goal
from cls_learning.brains.cls.camera_watch import CameraWatch
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.image_delay import ImageDelay
from cls_learning.evaluation.gate import Scores
from cls_learning.evaluation.history import EvaluationHistory
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_sim.worlds.room import RoomEnv

IGNORED = 'the model ignores actions'
CAMERA = 'the camera changed'
RECIPE = {
    'memory.capacity': 1000, 'sleep.wake_steps_per_cycle': 260, 'sleep.sws_steps': 60, 'sleep.rem_steps': 20,
    'sleep.learning_rate': 3e-3,
}  # fmt: skip
GENERATOR = np.random.default_rng


def live(tools: SimpleNamespace, transitions: Iterator[Transition]) -> ClsConsolidator:
    """Lives 1,040 steps with four nights."""
    waking = tools.waking(tools.recipe(RECIPE))
    half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 0)
    for transition in transitions:
        half.learn(waking.learn(transition))
        if waking.wants_sleep:
            night = half.begin_sleep(waking.state(), Goal())
            list(night.run())
            waking.load_bytes(night.finish())
    return half


def test_a_model_that_uses_actions_gives_no_alarm(tools: SimpleNamespace) -> None:
    half = live(tools, tools.Body().walk(1040))
    assert len(half.holdout) == 200 and half.history.nights == 4 and half.history.skill > 0.3
    assert half.history.action_use > 0.3 and IGNORED not in half.alarms


def drift(tools: SimpleNamespace, actions: Iterator[np.ndarray]) -> Iterator[Transition]:
    """A body that swings by itself: what it says it did has nothing to do with what it sees."""
    body = tools.Body()
    for step, said in enumerate(actions):
        swing = np.array([8.0 * np.sin(step / 5.0), 6.0 * np.cos(step / 5.0)], np.float32)
        yield replace(body.step(swing), action_applied=said, action_commanded=said)


def test_where_actions_do_nothing_the_model_ignores_them_and_says_so(tools: SimpleNamespace) -> None:
    draw = GENERATOR(3)
    half = live(tools, drift(tools, (draw.uniform(-10, 10, 2).astype(np.float32) for _ in range(1040))))
    assert half.history.skill > 0.2 > 0.1 > abs(half.history.action_use)
    assert half.alarms == [IGNORED]


def test_with_one_action_for_ever_nobody_can_tell(tools: SimpleNamespace) -> None:
    half = live(tools, drift(tools, (np.array([3.0, 0.0], np.float32) for _ in range(1040))))
    assert half.history.skill > 0.05 and half.history.action_use == 0 and half.alarms == []


def morning(
    history: EvaluationHistory, skill: float, use: float, *, varies: bool = True, is_enough: bool = True
) -> EvaluationHistory:
    errors = GENERATOR(1).normal(1.0 - skill, 0.001, (40, 5))
    found = Scores(errors, errors + use, np.ones((40, 5)))
    return history.after_sleep(found, found, np.arange(40), varies, is_enough, GENERATOR(2))


@pytest.mark.parametrize(
    'nights, skill, use, changes, is_said',
    [
        (2, 0.3, 0.0, {}, True),
        (2, 0.3, -0.1, {}, True),
        (1, 0.3, 0.0, {}, False),  # young
        (5, 0.04, 0.0, {}, False),  # knows nothing yet, so nothing to use actions for
        (5, 0.3, 0.01, {}, False),
        (5, 0.3, 0.0, {'varies': False}, False),
        (5, 0.3, 0.0, {'is_enough': False}, False),
    ],
)
def test_when_the_model_is_said_to_ignore_actions(
    nights: int, skill: float, use: float, changes: dict[str, Any], is_said: bool
) -> None:
    history = EvaluationHistory()
    for _ in range(nights):
        history = morning(history, skill, use, **changes)
    assert history.ignores_actions is is_said


def test_the_alarm_holds_until_actions_clearly_count() -> None:
    history = EvaluationHistory()
    said = []
    for use in (0.0, 0.0, 0.01, 0.0, 0.015, 0.03, 0.015, 0.01):
        history = morning(history, 0.3, use)
        said.append(history.ignores_actions)
    assert said == [False, True, True, True, True, False, False, False]


@pytest.fixture(scope='module')
def views() -> dict[str, Any]:
    """Poses of a walk within 20 x 10 degrees, and early_resnet18's embeddings there: a room, darker, another."""
    encoder = encoders.make(EncoderSettings(name='early_resnet18', seed=0, threads=1))
    poses = GENERATOR(0).uniform((-10, -5), (10, 5), (300, 2))

    def look(env: RoomEnv, which: np.ndarray, first: int) -> np.ndarray:
        return encoder.encode(np.stack([env.view(pose, 0.0, first + i) for i, pose in enumerate(which)]))

    room = RoomEnv(scene=0, seed=0, noise_sigma=2.0)
    found: dict[str, Any] = {'poses': np.radians(poses), 'before': look(room, poses[:200], 0)}
    found['other'] = look(RoomEnv(scene=1, seed=0, noise_sigma=2.0), poses[200:], 3000)
    room.panorama = np.rint(room.panorama * 0.8).astype(np.uint8)
    found['darker'] = look(room, poses[200:], 4000)
    return found


@pytest.mark.parametrize('now, is_other', [('other', False), ('darker', True)])
def test_the_camera_changed_is_said_of_light_and_not_of_another_room(
    views: dict[str, Any], now: str, is_other: bool
) -> None:
    watch = CameraWatch()
    ever = False
    for z, joints in zip(np.concatenate([views['before'], views[now]]), views['poses']):
        watch.see(z, joints)
        ever |= watch.is_other
    assert ever is is_other and watch.is_other is is_other


def walk(steps: int, shift: float = 0.0, seed: int = 0, joints: int = 2) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embeddings that vary with the pose, all shifted alike; in units of their spread."""
    draw = GENERATOR(seed)
    to_z = GENERATOR(99).normal(0.0, 1.0, (2, 64)) * np.sqrt(3.0 / 2.0) / 0.3
    for pose in draw.uniform(-0.3, 0.3, (steps, 2)):
        z = np.tanh(pose @ to_z) + shift + draw.normal(0.0, 0.05, 64)
        yield z.astype(np.float32), pose[:joints]


def feed(watch: CameraWatch, seen: Iterator[tuple[np.ndarray, np.ndarray]]) -> list[bool]:
    said = []
    for z, joints in seen:
        watch.see(z, joints)
        said.append(watch.is_other)
    return said


def test_it_does_not_flicker_and_ends_when_the_new_light_is_the_usual_one() -> None:
    watch = CameraWatch()
    assert not any(feed(watch, walk(600)))
    said = feed(watch, walk(1000, 0.5, 1))
    assert sum(a != b for a, b in pairwise(said)) == 2, 'on once, off once'
    assert said.index(True) <= 120 and not said[-1]


def test_without_joints_it_says_nothing() -> None:
    watch = CameraWatch()
    assert not any(feed(watch, walk(400, joints=0)) + feed(watch, walk(300, 0.5, 1, joints=0)))


def test_the_sleeping_half_says_so(tools: SimpleNamespace) -> None:
    waking = tools.waking(tools.recipe())
    half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 0)
    body, draw = tools.Body(), GENERATOR(0)
    for number in range(400):
        home = -0.5 * np.degrees(body.joints)
        transition = body.step((home + draw.uniform(-5, 5, 2)).astype(np.float32))
        light = np.float32(0.4 if number >= 300 else 0.0)
        half.learn(waking.learn(replace(transition, z=transition.z + light, z_next=transition.z_next + light)))
    assert half.alarms == [CAMERA]


def late(transitions: Iterator[Transition], by: int) -> Iterator[Transition]:
    """The same walk, seen through a camera whose images come some steps late."""
    seen: list[np.ndarray] = []
    for transition in transitions:
        seen += [transition.z] * (by + 1 if not seen else 0)
        seen.append(transition.z_next)
        yield replace(transition, z=seen[-2 - by], z_next=seen[-1 - by])


@pytest.mark.parametrize('by', [0, 1, 2])
def test_the_delay_of_images_is_measured(tools: SimpleNamespace, by: int) -> None:
    delay = ImageDelay()
    found = []
    for transition in late(tools.Body().walk(400), by):
        delay.see(transition)
        found.append(delay.steps)
    assert set(found[:99]) == {0} and set(found[100:]) == {by} and delay.correlation > 0.6


@pytest.mark.parametrize('seed', range(20))
def test_views_that_change_by_themselves_have_no_delay(tools: SimpleNamespace, seed: int) -> None:
    """A pole that falls, a fan that turns: what changes has its own course, whatever the robot does."""
    draw, delay = GENERATOR(seed), ImageDelay()
    course = np.cumsum(draw.normal(0.0, 1.0, 400))
    for step, transition in enumerate(tools.Body().walk(300, seed)):
        z = np.full(tools.Z_SIZE, course[step], np.float32)
        delay.see(replace(transition, z=z, z_next=np.full(tools.Z_SIZE, course[step + 1], np.float32)))
        assert delay.steps == 0


def test_a_robot_without_joints_has_no_delay() -> None:
    delay, none = ImageDelay(), np.zeros(0)
    for step in range(300):
        z = np.full(4, np.sin(step), np.float32)
        delay.see(Transition.of_embeddings(
            z=z, z_next=z + 1, action_commanded=z[:1], action_applied=z[:1], joints=none, joints_next=none,
            boundary=False,
        ))  # fmt: skip
    assert delay.steps == 0


def test_late_images_and_that_nothing_is_learned_are_said(tools: SimpleNamespace) -> None:
    waking = tools.waking(tools.recipe())
    half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 0)
    metrics = [half.learn(waking.learn(t)) for t in late(tools.Body().walk(120), 1)]
    assert any('images are 1 step late' in alarm for alarm in half.alarms)
    assert metrics[-1]['image_delay'] == 1.0 and metrics[50]['image_delay'] == 0.0
    nothing = EvaluationHistory(skill=-0.1, fast_skill=0.01, nights=1, rolled_back=1)
    half.history = nothing
    assert any(alarm.startswith('nothing is learned') for alarm in half.alarms)
    for other in (EvaluationHistory(), replace(nothing, nights=0), replace(nothing, fast_skill=0.1)):
        half.history = other
        assert not any(alarm.startswith('nothing is learned') for alarm in half.alarms)
