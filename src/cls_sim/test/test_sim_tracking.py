"""The reward `track`: near 1 with the target in the middle of the image, 0 with it out of sight."""

import math
from typing import Any

import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.moving_things import Target
from cls_sim.noise import generator
from cls_sim.pace import ActionCommand
from cls_sim.real_time import RealTime
from cls_sim.robots import make, SimulatedRobot, SimulatorSettings
from cls_sim.worlds.pan_tilt import LIMITS_DEG
from cls_sim.worlds.room import RoomEnv, VIEW_DEG


def tracking(name: str = 'sim', **settings: Any) -> SimulatedRobot:
    return make(name, SimulatorSettings(**{'reward': 'track', 'noise_sigma': 0.0, 'seed': 3, **settings}))


def target_in(image: np.ndarray) -> np.ndarray | None:
    """Returns the middle of the magenta pixels, (right, down) in halves of the image from its middle."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    found = np.argwhere((red > 230) & (green < 25) & (abs(blue - 170) < 25))
    return (found.mean(0)[::-1] - 111.5) / 112 if len(found) else None


@pytest.fixture(scope='module')
def env() -> RoomEnv:
    """The environment of `tracking()`; only asked, never turned."""
    return RoomEnv(seed=3, has_target=True, noise_sigma=0.0)


def test_a_camera_that_follows_the_target_earns_nearly_everything() -> None:
    robot = tracking()
    step = robot.reset()
    rewards = []
    for _ in range(100):
        seen = target_in(step.image)
        assert seen is not None
        step = robot.step(np.array([-1.0, -1.0]) * seen * VIEW_DEG / 2)
        rewards.append(step.reward)
    assert min(rewards[10:]) > 0.9 and np.mean(rewards[10:]) > 0.95


def test_the_reward_falls_with_the_distance_and_is_zero_out_of_sight(env: RoomEnv) -> None:
    middle = env.target_offset(np.zeros(2), 2.0) * np.array(VIEW_DEG) / 2  # seen from pose 0, degrees
    poses = [middle + [degrees, 0.0] for degrees in (0.0, 7.5, 15.0, 22.5, 30.0, 45.0)]
    rewards = [env.tracking_reward(pose, 2.0) for pose in poses]
    np.testing.assert_allclose(rewards, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0], atol=1e-12)
    assert env.tracking_reward(middle - [0.0, 11.25], 2.0) == pytest.approx(0.5)
    seen = target_in(env.view(poses[2], 2.0, 0))
    np.testing.assert_allclose(seen, [0.5, 0.0], atol=0.01)
    assert target_in(env.view(-np.sign(middle) * LIMITS_DEG, 2.0, 0)) is None


def test_every_target_can_be_brought_to_the_middle_at_any_time() -> None:
    for seed in range(20):
        target = Target(generator(seed, 0), LIMITS_DEG)
        path = np.array([target.positions_deg(seconds)[0] for seconds in np.linspace(0, 100, 200)])
        assert (np.abs(path) < LIMITS_DEG).all() and np.ptp(path, axis=0).min() > 1.0


def test_the_square_is_tracked_by_its_known_pose() -> None:
    middle, corner = tracking('square'), tracking('square', start_pan=-90.0, start_tilt=40.0)
    for robot, expected in ((middle, 1.0), (corner, 0.0)):
        robot.reset()
        assert robot.step([0.0, 0.0]).reward == expected
    assert middle.step([9.0, 0.0]).reward == pytest.approx(1 - 0.1 * 184 / 224)


def test_in_real_time_the_reward_is_that_of_the_time_since_the_start(env: RoomEnv) -> None:
    start, late = 10**18, 12 * 10**9
    pose = env.target_offset(np.zeros(2), 12.0) * np.array(VIEW_DEG) / 2
    assert env.tracking_reward(pose, 12.0) > 0.99 > env.tracking_reward(pose, 0.0) + 0.1
    pace = RealTime(tracking(start_pan=float(pose[0]), start_tilt=float(pose[1])), 0.0)
    pace.start(start)
    (result,) = pace.submit(ActionCommand('test', 1, np.zeros(2, np.float32)), start + late)
    assert result.motion.reward == pytest.approx(1.0)


def test_without_the_setting_there_is_no_reward_and_no_target() -> None:
    plain, rewarded = tracking(reward='none'), tracking()
    without, with_target = plain.reset().image, rewarded.reset().image
    assert target_in(without) is None and target_in(with_target) is not None
    assert math.isnan(plain.step([1.0, 0.0]).reward)
    changed = np.abs(without.astype(int) - with_target).max(-1) > 0
    assert 0 < changed.mean() < 0.08  # nothing but the disc


def test_another_reward_is_refused() -> None:
    with pytest.raises(UserError, match='one of none, track'):
        SimulatorSettings(reward='chase')
