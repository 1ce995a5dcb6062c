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
