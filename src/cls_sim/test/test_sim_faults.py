"""Fault injection: each fault works as documented, deterministically."""

import itertools

import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.robots import make, SimulatorSettings
from cls_sim.settings import FaultSettings

COUNT = 200


def run(**faults):
    robot = make('square', SimulatorSettings(seed=4, faults=FaultSettings(**faults)))
    return [robot.reset()] + [robot.step([3.0 if i % 40 < 20 else -3.0, 0.5]) for i in range(COUNT)]


def repeated(steps):
    return [np.array_equal(a.image, b.image) for a, b in itertools.pairwise(steps)]


def test_without_faults_no_image_repeats_and_none_is_black():
    steps = run()
    assert not any(repeated(steps)) and all(s.image.max() > 190 for s in steps) and not any(s.lost for s in steps)


def test_a_frozen_camera_repeats_one_image_while_the_joints_turn():
    steps = run(frozen_from=50)
    assert repeated(steps) == [False] * 49 + [True] * (COUNT - 49)
    assert steps[-1].stamp_ns > steps[50].stamp_ns and not np.array_equal(steps[60].joints, steps[50].joints)


@pytest.mark.parametrize('chance', [0.1, 0.5])
def test_duplicate_frames_have_the_configured_probability(chance):
    found = repeated(run(duplicate=chance))
    assert np.mean(found) == pytest.approx(chance, abs=0.1)
    assert found == repeated(run(duplicate=chance))


def test_black_frames_are_black_and_have_the_configured_probability():
    black = [s.image.max() == 0 for s in run(black=0.2)]
    assert np.mean(black) == pytest.approx(0.2, abs=0.1)
    assert black == [s.image.max() == 0 for s in run(black=0.2)]


def test_one_fault_does_not_change_another():
    alone = [s.image.max() == 0 for s in run(black=0.2)]
    assert alone == [s.image.max() == 0 for s in run(black=0.2, late=0.5, lost_action=0.0)]


def test_after_a_late_frame_the_next_action_starts_later():
    steps = run(late=0.2, late_by=0.3)
    waits = [(b.start_ns - a.stamp_ns) * 1e-9 for a, b in itertools.pairwise(steps)]
    late = [w > 0.1 for w in waits]
    assert np.mean(late) == pytest.approx(0.2, abs=0.1)
    assert max(waits) == pytest.approx(0.3, abs=1e-4) and min(waits) < 1e-4


def test_lagging_images_are_older_and_the_joints_are_not():
    late, plain = run(image_lag=2), run()
    for i, (step, now) in enumerate(zip(late, plain)):
        np.testing.assert_array_equal(step.image, plain[max(i - 2, 0)].image)
        np.testing.assert_array_equal(step.joints, now.joints)
        assert step.stamp_ns == now.stamp_ns


def test_a_lost_action_moves_nothing_and_takes_no_time():
    steps = run(lost_action=0.3)
    lost = [s.lost for s in steps[1:]]
    assert np.mean(lost) == pytest.approx(0.3, abs=0.1)
    for before, step in itertools.pairwise(steps):
        if step.lost:
            assert step.stamp_ns == before.stamp_ns and not step.applied.any() and step.commanded.any()
            np.testing.assert_array_equal(step.joints, before.joints)
            np.testing.assert_array_equal(step.image, before.image)


def test_a_stuck_joint_does_not_move_while_the_other_does():
    steps = run(stuck_joint=0, stuck_from=30)
    applied = np.array([s.applied for s in steps[1:]])
    assert (applied[:30, 0] != 0).all() and (applied[30:, 0] == 0).all() and applied[30:, 1].any()
    assert (np.array([s.commanded for s in steps[1:]])[30:, 0] != 0).all()


def test_a_missing_joint_cannot_be_stuck():
    with pytest.raises(UserError, match='stuck_joint'):
        make('gym:CartPole-v1', SimulatorSettings(faults=FaultSettings(stuck_joint=0)))


@pytest.mark.parametrize('name', ['faults.black', 'faults.late'])
@pytest.mark.parametrize('value', [-0.1, 1.5, float('nan')])
def test_an_invalid_probability_is_refused(name, value):
    with pytest.raises(UserError, match=name.split('.')[1]):
        SimulatorSettings.from_flat({name: value})


ROBOTS = ('sim', 'square', 'cart_pole', 'gym:CartPole-v1', 'gym:Pendulum-v1')


def moves(name, count, **faults):
    """Steps of random actions, and the actions."""
    robot = make(name, SimulatorSettings(seed=4, noise_sigma=0.0, faults=FaultSettings(**faults)))
    draws = np.random.default_rng(0).uniform(-1, 1, (count, len(robot.info.channels)))
    actions = [robot.info.to_units(unit) for unit in draws]
    return [robot.reset(), *(robot.step(action) for action in actions)], actions, robot


@pytest.mark.parametrize('name', ROBOTS)
@pytest.mark.parametrize('lag', [1, 3])
def test_a_late_body_does_what_the_action_of_some_steps_before_would_do_at_once(name, lag):
    late, actions, robot = moves(name, 8, action_lag=lag)
    prompt = make(name, SimulatorSettings(seed=4, noise_sigma=0.0))
    expected = [prompt.reset()] + [prompt.step(a) for a in [robot.info.zero()] * lag + actions[:-lag]]
    for step, now in zip(late, expected, strict=True):
        np.testing.assert_array_equal(step.image, now.image)
        np.testing.assert_array_equal(step.joints, now.joints)
        assert step.observations.keys() == now.observations.keys()
        assert all(np.array_equal(step.observations[k], now.observations[k]) for k in now.observations)
        np.testing.assert_equal((step.reward, step.terminal), (now.reward, now.terminal))
    for step, action in zip(late[1:], actions):
        np.testing.assert_array_equal(step.applied, action)
        np.testing.assert_array_equal(step.commanded, action)


def test_a_late_body_begins_each_episode_at_rest():
    robot = make('gym:CartPole-v1', SimulatorSettings(seed=4, faults=FaultSettings(action_lag=2)))
    first = robot.reset()
    while first.restart is None:
        first = robot.step([1.0])
    # The two actions that waited would push the cart to the right; 0 pushes it to the left.
    assert robot.step([1.0]).observations['state'][1] < first.restart.observations['state'][1]


def test_an_emergency_stop_forgets_the_actions_that_wait():
    robot = make('square', SimulatorSettings(faults=FaultSettings(action_lag=1)))
    robot.reset()
    robot.step([5.0, 0.0])
    robot.halt(robot.now_ns)
    assert not robot.step([0.0, 0.0]).joints.any()


def test_a_late_body_accepts_an_action_within_its_limits():
    robot = make('square', SimulatorSettings(faults=FaultSettings(action_lag=1)))
    robot.reset()
    step = robot.step([50.0, -3.0])
    assert step.applied.tolist() == [10.0, -3.0] and step.commanded.tolist() == [50.0, -3.0]
