"""Stitched trajectories over remembered frames: every step is one that the robot could have made."""

from dataclasses import replace

from hypothesis import given, settings, strategies
import numpy as np
import pytest
import torch

from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning.memory.contract import Record
from cls_learning.memory.static_scene import MOVES, SceneMotion, StaticScenes
from cls_learning.memory.trajectory_stitching import can_stitch, StitchedTrajectories

ROBOT = RobotInfo(
    'r',
    ('camera',),
    tuple(Channel(n, Kind.RELATIVE, 'deg', -10.0, 10.0) for n in ('pan', 'tilt')),
    ('pan', 'tilt'),
    (-2.0, -1.0),
    (2.0, 1.0),
)


def view(episode, pose, seconds=0.0):
    """Returns an embedding: the pose, the place of the scene, and what moves in it."""
    return np.array([*pose / 5, 20.0 * episode, 10 * np.sin(3 * seconds), 10 * np.cos(2 * seconds)], np.float32)


def make_records(episode, count, seed=0, drift=0.0, first=0, play=0.0, change_at=10**9):
    generator = np.random.default_rng((seed, episode))
    pose, records = generator.uniform(-20, 20, 2), []
    slack = np.zeros(2)  # deg: with play in its gears a robot lags behind its joints, on the side that it came from
    for i in range(count):
        before, scene = pose + slack, episode + (i >= change_at)
        after = np.clip(pose + generator.uniform(-10, 10, 2), (-40, -20), (40, 20))
        slack = np.where(after > pose, -play / 2, play / 2)
        records.append(
            Record(
                z=view(scene, before, drift * i),
                z_next=view(scene, after + slack, drift * (i + 1)),
                action=(after - pose).astype(np.float32),
                commanded=np.zeros(2, np.float32),
                joints=np.radians(pose),
                time=i,
                episode=episode,
                sequence=first + i,
            )
        )
        pose = after
    return records


def two_episodes():
    return make_records(1, 150) + make_records(2, 150, first=150)


@settings(max_examples=25, deadline=None)
@given(strategies.integers(0, 1000), strategies.integers(1, 5), strategies.integers(1, 40))
def test_each_step_is_possible_and_ends_at_the_remembered_frame(seed, steps, count):
    stitched = StitchedTrajectories(two_episodes(), ROBOT, 5)
    drawn = stitched.draw(count, steps, np.random.default_rng(seed))
    z, action = drawn.z.numpy(), drawn.action.numpy()
    assert z.shape == (len(action), steps + 1, 5) and len(action) <= count
    assert (np.abs(action) <= 10.0).all()
    np.testing.assert_allclose(np.diff(z[..., :2], axis=1) * 5, action, atol=1e-3)
    assert (z[..., 2] == z[:, :1, 2]).all()  # one episode


def test_most_steps_are_new():
    records = two_episodes()
    real = {(tuple(r.z), tuple(r.z_next)) for r in records}
    drawn = StitchedTrajectories(records, ROBOT, 5).draw(200, 1, np.random.default_rng(0)).z.numpy()
    assert len(drawn) > 190
    assert np.mean([(tuple(a), tuple(b)) in real for a, b in drawn]) < 0.2


def test_frames_at_the_end_of_broken_stretches_are_used_too():
    records = two_episodes()
    kept = [record for record in records if record.sequence % 4 < 2]  # stretches of two steps: three views each
    stitched = StitchedTrajectories(kept, ROBOT, 5)
    assert (len(kept), len(stitched), len(StitchedTrajectories(records, ROBOT, 5))) == (150, 225, 302)
    last = {tuple(record.z_next) for record in kept if record.sequence % 4 == 1}
    seen = {tuple(z) for z in stitched.draw(2000, 1, np.random.default_rng(0)).z.flatten(0, 1).numpy()}
    assert last <= seen


def test_equal_generators_give_equal_trajectories():
    first, second = (
        StitchedTrajectories(two_episodes(), ROBOT, 5).draw(9, 3, np.random.default_rng(4)) for _ in range(2)
    )
    assert first.z.equal(second.z) and first.action.equal(second.action)


def test_nothing_is_drawn_from_a_moving_scene():
    still, moves = make_records(1, 200), make_records(2, 200, drift=0.3, first=200)
    stitched = StitchedTrajectories(still + moves, ROBOT, 5)
    motions = stitched.static_scenes.motions
    assert stitched.static_scenes.moving == {2} and motions[1].excess < 0.1 and motions[2].excess > 2 * MOVES
    assert (stitched.draw(100, 2, np.random.default_rng(0)).z[..., 2] == 20.0).all()
    assert len(StitchedTrajectories(moves, ROBOT, 5)) == 0
    assert StitchedTrajectories(moves, ROBOT, 5).draw(5, 3, np.random.default_rng(0)).z.shape == (0, 4, 5)


@pytest.mark.parametrize('seed', range(5))
def test_play_in_the_gears_is_no_moving_scene(seed):
    """2 degrees, as cheap servos have: neighbours in time differ by less than frames far apart in time."""
    stitched = StitchedTrajectories(make_records(1, 400, seed=seed, play=2.0), ROBOT, 5)
    assert stitched.static_scenes.moving == set() and 0.0 < stitched.static_scenes.motions[1].excess < MOVES


@pytest.mark.parametrize('at', [200, 300, 350])
def test_another_scene_within_an_episode_counts_as_motion(at):
    stitched = StitchedTrajectories(make_records(1, 400, change_at=at), ROBOT, 5)
    assert stitched.static_scenes.moving == {1} and stitched.static_scenes.motions[1].excess > 0.25


def test_measurements_of_an_older_version_are_discarded():
    old = {'stillness.motions': torch.tensor([[1.0, 1.2, 300.0]], dtype=torch.float64)}
    assert StaticScenes.load(old).motions == {}


def test_an_episode_too_short_to_be_judged_counts_as_moving():
    stitched = StitchedTrajectories(make_records(1, 5), ROBOT, 5)
    assert (
        stitched.static_scenes.moving == {1}
        and np.isnan(stitched.static_scenes.motions[1].excess)
        and len(stitched) == 0
    )


def test_an_episode_that_was_judged_still_stays_so_with_few_frames_left():
    records = make_records(1, 150)
    known = StitchedTrajectories(records, ROBOT, 5).static_scenes
    stitched = StitchedTrajectories(records[:5], ROBOT, 5, StaticScenes.load(known.state()))
    assert len(stitched) == 6 and stitched.static_scenes.motions == known.motions
    assert StitchedTrajectories(make_records(2, 5), ROBOT, 5, known).static_scenes.motions.keys() == {2}


@pytest.mark.parametrize(
    ('excess', 'frames', 'expected'),
    [
        (3.0, 150, 3.0),
        (3.0, 100, 3.0),
        (3.0, 99, 1.0),
        (np.nan, 150, 1.0),
    ],
)
def test_far_fewer_frames_do_not_change_a_measurement(excess, frames, expected):
    then = SceneMotion(1.0, 200).updated(SceneMotion(excess, frames))
    assert (then.excess, then.frames) == (expected, 200)
    assert SceneMotion(np.nan, 200).updated(SceneMotion(excess, 10)).excess is excess


def test_a_scene_with_few_frames_is_drawn_more_often_than_its_share():
    stitched = StitchedTrajectories(make_records(1, 100) + make_records(2, 900, first=100), ROBOT, 5)
    drawn = stitched.draw(4000, 1, np.random.default_rng(0)).z[:, 0, 2]
    assert (drawn == 20.0).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_frame_without_neighbours_begins_no_trajectory():
    far = [replace(r, joints=r.joints + 1.0, sequence=500) for r in make_records(1, 1)]
    stitched = StitchedTrajectories(make_records(1, 150) + far, ROBOT, 5)
    assert len(stitched.draw(2000, 1, np.random.default_rng(0)).z) < 2000


@pytest.mark.parametrize(
    'changed',
    [
        {'channels': (Channel('action', Kind.DISCRETE, '', 0.0, 1.0),)},
        {'channels': tuple(Channel(n, Kind.ABSOLUTE, 'deg', -10.0, 10.0) for n in ('pan', 'tilt'))},
        {'channels': tuple(Channel(n, Kind.RELATIVE, 'm', -10.0, 10.0) for n in ('pan', 'tilt'))},
        {'joint_names': (), 'joint_low': (), 'joint_high': ()},
    ],
)
def test_stitching_needs_differences_of_joints_that_are_actions(changed):
    robot = replace(ROBOT, **changed)
    assert can_stitch(ROBOT) and not can_stitch(robot)
    stitched = StitchedTrajectories(make_records(1, 100), robot, 5)
    assert len(stitched) == 0 and len(stitched.draw(4, 2, np.random.default_rng(0)).z) == 0
    assert len(StitchedTrajectories([], ROBOT, 5).draw(4, 2, np.random.default_rng(0)).z) == 0
