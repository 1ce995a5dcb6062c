"""Contract of all simulated robots."""

import itertools
import math
import subprocess
import sys

from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Kind
from cls_sim.robots import make, SimulatorSettings
from cls_sim.testing import digest, RobotSuite, SEED, steps

ROBOTS = (
    'sim', 'square', 'cart_pole', 'memory_chain', 'task_switching', 'toroidal_dot', 'stub', 'corridor',
    'gym:CartPole-v1', 'gym:Pendulum-v1',
)  # fmt: skip
PAN_TILT = ('sim', 'square')


@pytest.fixture(params=ROBOTS)
def robot(request):
    made = make(request.param, SimulatorSettings(seed=SEED))
    yield made
    made.close()


class TestRobots(RobotSuite):
    """Ours; a Gymnasium environment stands for each kind of actions."""


def test_each_image_is_as_many_frame_periods_after_the_last_as_an_action_needs(robot):
    for before, step in itertools.pairwise(steps(robot, 60)):
        assert (step.image is None) == (robot.info.name in ('memory_chain', 'task_switching'))
        periods = 4 if robot.info.name == 'stub' and step.end_ns > step.start_ns else 1  # its actions take 0.1 s
        assert step.stamp_ns - before.stamp_ns == periods * round(1e9 / 30)


@pytest.mark.parametrize('name', PAN_TILT)
def test_a_pan_tilt_robot_that_tracks_a_target_says_that_it_gives_a_reward(name):
    robot = make(name, SimulatorSettings(seed=SEED, reward='track'))
    assert all(math.isfinite(step.reward) for step in steps(robot, 5)[1:]) and robot.info.has_reward
    robot.close()


def test_another_process_gives_the_same_bytes():
    program = (
        'import sys, cls_sim.testing as t;'
        'from cls_sim.robots import make, SimulatorSettings as S;'
        "print(t.digest(t.steps(make('sim', S(seed=5, moving_things=3)), 20)), 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=True)
    here = digest(steps(make('sim', SimulatorSettings(seed=5, moving_things=3)), 20))
    assert ran.stdout.split() == [here, 'False']


@pytest.mark.parametrize('name', PAN_TILT)
def test_applied_equals_the_joint_motion_and_stops_at_the_limits(name):
    robot = make(name, SimulatorSettings(start_pan=85.0, start_tilt=-38.0))
    robot.reset()
    step = robot.step([10.0, -10.0])
    np.testing.assert_array_equal(step.commanded, [10.0, -10.0])
    np.testing.assert_allclose(step.applied, [5.0, -2.0])
    np.testing.assert_allclose(np.rad2deg(step.joints), [90.0, -40.0])
    again = robot.step([10.0, -10.0])
    np.testing.assert_array_equal(again.applied, [0.0, 0.0])
    assert again.end_ns == again.start_ns


@given(strategies.lists(strategies.tuples(*[strategies.floats(-(2.0**100), 2.0**100, width=32)] * 2), max_size=12))
@hypothesis_settings(deadline=None, max_examples=40)
def test_no_finite_action_exceeds_a_limit(asked):
    robot = make('square', SimulatorSettings())
    robot.reset()
    for action in asked:
        step = robot.step(np.array(action, np.float32))
        assert (np.abs(np.rad2deg(step.joints)) <= np.array([90.0, 40.0]) + 1e-9).all()
        assert (np.abs(step.applied) <= 10.0).all()
        moved = np.rad2deg(step.joints - step.joints_before)
        np.testing.assert_allclose(step.applied, moved, atol=1e-5)


def test_a_slow_servo_takes_as_many_images_as_it_needs():
    robot = make('sim', SimulatorSettings(servo_speed=100.0, latency=0.01))
    first = robot.reset()
    step = robot.step([10.0, 0.0])
    assert step.start_ns - first.stamp_ns == 10_000_000
    assert step.end_ns - step.start_ns == 100_000_000
    assert step.stamp_ns - first.stamp_ns == 4 * round(1e9 / 30)  # 110 ms are over after four images


def test_at_the_default_speed_ten_degrees_take_less_than_half_a_frame_period():
    robot = make('sim', SimulatorSettings())
    robot.reset()
    step = robot.step([10.0, 10.0])
    assert (step.end_ns - step.start_ns) * 1e-9 < 0.5 / 30


def test_a_new_episode_begins_after_an_end():
    robot = make('gym:CartPole-v1', SimulatorSettings())
    robot.reset()
    last = next(s for s in (robot.step([1.0]) for _ in range(100)) if s.terminal)
    assert abs(last.observations['state'][2]) > math.radians(12)  # the pole fell: the final observation
    assert last.reward == 1.0 and not last.truncated
    first = last.restart
    assert np.abs(first.observations['state']).max() <= 0.05 and math.isnan(first.reward)
    assert first.stamp_ns > last.stamp_ns and not np.array_equal(first.image, last.image)
    after = robot.step([1.0])
    assert np.abs(after.observations['state'] - first.observations['state']).max() < 0.5
    assert after.restart is None and after.start_ns > first.stamp_ns


def test_an_episode_at_its_time_limit_is_truncated_and_not_terminal():
    robot = make('gym:Pendulum-v1', SimulatorSettings())
    robot.reset()
    found = [robot.step([0.0]) for _ in range(200)]
    assert [s.truncated for s in found] == [False] * 199 + [True]
    assert not any(s.terminal for s in found) and found[-1].restart is not None


def test_discrete_and_box_actions_become_channels():
    discrete = make('gym:CartPole-v1', SimulatorSettings()).info.channels
    assert [(c.kind, c.low, c.high) for c in discrete] == [(Kind.DISCRETE, 0.0, 1.0)]
    box = make('gym:Pendulum-v1', SimulatorSettings()).info.channels
    assert [(c.kind, c.low, c.high) for c in box] == [(Kind.VELOCITY, -2.0, 2.0)]


@pytest.mark.parametrize(('name', 'asked', 'applied'), [('gym:Pendulum-v1', 9.0, 2.0), ('gym:CartPole-v1', 0.7, 1.0)])
def test_a_gym_action_is_limited_to_its_space(name, asked, applied):
    robot = make(name, SimulatorSettings())
    robot.reset()
    assert robot.step([asked]).applied == applied


def test_an_unknown_robot_is_refused_with_the_list():
    with pytest.raises(UserError, match=r'cart_pole, corridor, gym, .*sim, .*square'):
        make('rover', SimulatorSettings())
    with pytest.raises(UserError, match=r'CartPole-v1'):
        make('gym:CartPol-v1', SimulatorSettings())


def test_an_environment_whose_packages_are_missing_is_refused_in_one_line():
    with pytest.raises(UserError, match='could not be made') as caught:
        make('gym:CarRacing-v3', SimulatorSettings())
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', PAN_TILT)
def test_joints_of_a_step_are_a_vector_beside_its_camera(name):
    robot = make(name, SimulatorSettings(seed=SEED))
    for step in steps(robot, 3):
        assert step.vector('joints').dtype == np.float32
        np.testing.assert_array_equal(step.vector('joints'), step.joints.astype(np.float32))
    assert robot.info.modalities == ('camera',)
    robot.close()
