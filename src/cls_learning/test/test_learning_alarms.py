"""Alarms: actions are ignored, the camera changed, images are late, nothing is learned; with real learners."""

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
    'memory.capacity': 1000,
    'sleep.wake_steps_per_cycle': 260,
    'sleep.sws_steps': 60,
    'sleep.rem_steps': 20,
    'sleep.learning_rate': 3e-3,
}
GENERATOR = np.random.default_rng


def train(tools: SimpleNamespace, transitions: Iterator[Transition]) -> ClsConsolidator:
    """Learns the transitions, with a sleep after every 260 steps."""
    learner = tools.online_learner(tools.recipe(RECIPE))
    consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 0)
    for transition in transitions:
        consolidator.learn(learner.learn(transition))
        if learner.wants_sleep:
            run = consolidator.begin_sleep(learner.state(), Goal())
            list(run.run())
            learner.load(run.finish())
    return consolidator


def test_a_model_that_uses_actions_gives_no_alarm(tools: SimpleNamespace) -> None:
    consolidator = train(tools, tools.PanTiltWorld().walk(1040))
    assert len(consolidator.holdout) == 200 and consolidator.history.sleeps == 4 and consolidator.history.skill > 0.3
    assert consolidator.history.action_use > 0.3 and IGNORED not in consolidator.alarms


def drift(tools: SimpleNamespace, actions: Iterator[np.ndarray]) -> Iterator[Transition]:
    """Yields steps of a robot that swings by itself: the actions it reports have no effect on its embeddings."""
    world = tools.PanTiltWorld()
    for step, action in enumerate(actions):
        swing = np.array([8.0 * np.sin(step / 5.0), 6.0 * np.cos(step / 5.0)], np.float32)
        yield replace(world.step(swing), action_applied=action, action_commanded=action)


def test_actions_without_effect_raise_the_alarm(tools: SimpleNamespace) -> None:
    draw = GENERATOR(3)
    consolidator = train(tools, drift(tools, (draw.uniform(-10, 10, 2).astype(np.float32) for _ in range(1040))))
    assert consolidator.history.skill > 0.2 > 0.1 > abs(consolidator.history.action_use)
    assert consolidator.alarms == [IGNORED]


def test_one_constant_action_raises_no_alarm(tools: SimpleNamespace) -> None:
    consolidator = train(tools, drift(tools, (np.array([3.0, 0.0], np.float32) for _ in range(1040))))
    assert consolidator.history.skill > 0.05 and consolidator.history.action_use == 0 and consolidator.alarms == []


def after_sleep(
    history: EvaluationHistory, skill: float, use: float, *, varies: bool = True, is_enough: bool = True
) -> EvaluationHistory:
    errors = GENERATOR(1).normal(1.0 - skill, 0.001, (40, 5))
    found = Scores(errors, errors + use, np.ones((40, 5)))
    return history.after_sleep(found, found, np.arange(40), varies, is_enough, GENERATOR(2))


@pytest.mark.parametrize(
    'sleeps, skill, use, changes, is_alarm',
    [
        (2, 0.3, 0.0, {}, True),
        (2, 0.3, -0.1, {}, True),
        (1, 0.3, 0.0, {}, False),  # too few sleeps
        (5, 0.04, 0.0, {}, False),  # no skill yet, so nothing to use actions for
        (5, 0.3, 0.01, {}, False),
        (5, 0.3, 0.0, {'varies': False}, False),
        (5, 0.3, 0.0, {'is_enough': False}, False),
    ],
)
def test_when_actions_count_as_ignored(
    sleeps: int, skill: float, use: float, changes: dict[str, Any], is_alarm: bool
) -> None:
    history = EvaluationHistory()
    for _ in range(sleeps):
        history = after_sleep(history, skill, use, **changes)
    assert history.ignores_actions is is_alarm


def test_the_alarm_holds_until_actions_clearly_matter() -> None:
    history = EvaluationHistory()
    alarms = []
    for use in (0.0, 0.0, 0.01, 0.0, 0.015, 0.03, 0.015, 0.01):
        history = after_sleep(history, 0.3, use)
        alarms.append(history.ignores_actions)
    assert alarms == [False, True, True, True, True, False, False, False]


@pytest.fixture(scope='module')
def views() -> dict[str, Any]:
    """Poses within 20 x 10 degrees, and embeddings of early_resnet18 there: of a room, of it darker, of another."""
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
def test_darker_light_raises_the_camera_alarm_and_another_room_does_not(
    views: dict[str, Any], now: str, is_other: bool
) -> None:
    watch = CameraWatch()
    was_other = False
    for z, joints in zip(np.concatenate([views['before'], views[now]]), views['poses']):
        watch.observe(z, joints)
        was_other |= watch.is_other
    assert was_other is is_other and watch.is_other is is_other


def walk(steps: int, shift: float = 0.0, seed: int = 0, joints: int = 2) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embeddings that vary with the pose, all shifted alike; in units of their spread."""
    draw = GENERATOR(seed)
    to_z = GENERATOR(99).normal(0.0, 1.0, (2, 64)) * np.sqrt(3.0 / 2.0) / 0.3
    for pose in draw.uniform(-0.3, 0.3, (steps, 2)):
        z = np.tanh(pose @ to_z) + shift + draw.normal(0.0, 0.05, 64)
        yield z.astype(np.float32), pose[:joints]


def feed(watch: CameraWatch, seen: Iterator[tuple[np.ndarray, np.ndarray]]) -> list[bool]:
    alarms = []
    for z, joints in seen:
        watch.observe(z, joints)
        alarms.append(watch.is_other)
    return alarms


def test_the_camera_alarm_does_not_flicker_and_ends_when_the_new_light_is_usual() -> None:
    watch = CameraWatch()
    assert not any(feed(watch, walk(600)))
    alarms = feed(watch, walk(1000, 0.5, 1))
    assert sum(a != b for a, b in pairwise(alarms)) == 2, 'on once, off once'
    assert alarms.index(True) <= 120 and not alarms[-1]


def test_without_joints_there_is_no_camera_alarm() -> None:
    watch = CameraWatch()
    assert not any(feed(watch, walk(400, joints=0)) + feed(watch, walk(300, 0.5, 1, joints=0)))


def test_the_consolidator_raises_the_camera_alarm(tools: SimpleNamespace) -> None:
    learner = tools.online_learner(tools.recipe())
    consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 0)
    world, draw = tools.PanTiltWorld(), GENERATOR(0)
    for number in range(400):
        home = -0.5 * np.degrees(world.joints)
        transition = world.step((home + draw.uniform(-5, 5, 2)).astype(np.float32))
        light = np.float32(0.4 if number >= 300 else 0.0)
        lit = tools.with_embeddings(transition, transition.z + light, transition.z_next + light)
        consolidator.learn(learner.learn(lit))
    assert consolidator.alarms == [CAMERA]


@pytest.mark.parametrize('by', [0, 1, 2])
def test_the_delay_of_images_is_measured(tools: SimpleNamespace, by: int) -> None:
    delay = ImageDelay()
    found = []
    for transition in tools.late(tools.PanTiltWorld().walk(400), by):
        delay.observe(transition)
        found.append(delay.steps)
    assert set(found[:99]) == {0} and set(found[100:]) == {by} and delay.correlation > 0.6


@pytest.mark.parametrize('seed', range(20))
def test_views_that_change_by_themselves_have_no_delay(tools: SimpleNamespace, seed: int) -> None:
    """A pole that falls, a fan that turns: the view changes on its own course, whatever the robot does."""
    draw, delay = GENERATOR(seed), ImageDelay()
    course = np.cumsum(draw.normal(0.0, 1.0, 400))
    for step, transition in enumerate(tools.PanTiltWorld().walk(300, seed)):
        z, z_next = (np.full(tools.Z_SIZE, course[at], np.float32) for at in (step, step + 1))
        delay.observe(tools.with_embeddings(transition, z, z_next))
        assert delay.steps == 0


def test_a_robot_without_joints_has_no_delay() -> None:
    delay, none = ImageDelay(), np.zeros(0)
    for step in range(300):
        z = np.full(4, np.sin(step), np.float32)
        delay.observe(
            Transition.of_embeddings(
                z=z,
                z_next=z + 1,
                action_commanded=z[:1],
                action_applied=z[:1],
                joints=none,
                joints_next=none,
                boundary=False,
            )
        )
    assert delay.steps == 0


def test_late_images_and_no_learning_raise_alarms(tools: SimpleNamespace) -> None:
    learner = tools.online_learner(tools.recipe())
    consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 0)
    metrics = [consolidator.learn(learner.learn(t)) for t in tools.late(tools.PanTiltWorld().walk(120), 1)]
    assert any('images are 1 step late' in alarm for alarm in consolidator.alarms)
    assert metrics[-1]['image_delay'] == 1.0 and metrics[50]['image_delay'] == 0.0
    nothing = EvaluationHistory(skill=-0.1, fast_skill=0.01, sleeps=1, rolled_back=1)
    consolidator.history = nothing
    assert any(alarm.startswith('nothing is learned') for alarm in consolidator.alarms)
    for other in (EvaluationHistory(), replace(nothing, sleeps=0), replace(nothing, fast_skill=0.1)):
        consolidator.history = other
        assert not any(alarm.startswith('nothing is learned') for alarm in consolidator.alarms)


def test_risen_errors_of_slow_raise_an_alarm_until_the_next_sleep(tools: SimpleNamespace) -> None:
    risen = 'prediction errors have risen: did something change around the robot?'
    consolidator = train(tools, tools.PanTiltWorld().walk(520))
    change = consolidator.watch.change
    assert change.steps == 520 and change.is_calibrating and risen not in consolidator.alarms
    for error in (*GENERATOR(0).random(200), *(9.0,) * 20):
        change.observe(float(error))
    assert risen in consolidator.alarms and consolidator.metrics()['change_alarms'] == change.alarms >= 1
    online = consolidator.online_copy.state()
    run = consolidator.begin_sleep(online, Goal({'sws': 1, 'rem': -1, 'tether': -1}))
    list(run.run())
    run.finish()
    assert risen not in consolidator.alarms and change.is_calibrating
