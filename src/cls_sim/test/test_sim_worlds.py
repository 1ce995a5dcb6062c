"""The environments of this package: exact pixels of the square, statistics of the room."""

import itertools
import time

import cv2
import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.robots import make, SimulatorSettings
from cls_sim.sceneries import SCENERIES
from cls_sim.worlds import CART_POLE_ID, MEMORY_CHAIN_ID, ROOM_ID, SQUARE_ID
from cls_sim.worlds.room import PIXELS_PER_DEGREE, RoomEnv, VIEW_DEG


@pytest.mark.parametrize('env_id', [ROOM_ID, SQUARE_ID, CART_POLE_ID, MEMORY_CHAIN_ID])
def test_environments_pass_the_checker_of_gymnasium(env_id, recwarn):
    mode = None if env_id == MEMORY_CHAIN_ID else 'rgb_array'
    check_env(gymnasium.make(env_id, render_mode=mode).unwrapped)
    # Actions are degrees here, on purpose.
    said = [str(warning.message) for warning in recwarn]
    assert all('symmetric and normalized' in text for text in said), said


# As in the original system: S1 -90..90 -> x 20..204, S2 -40..40 -> y 20..204, centre of a square 30 wide.
@pytest.mark.parametrize(
    ('pose', 'centre'), [((-90, -40), (20, 20)), ((90, 40), (204, 204)), ((0, 0), (112, 112)), ((45, -20), (158, 66))]
)
def test_the_position_of_the_square_is_linear_in_the_joints(pose, centre):
    robot = make('square', SimulatorSettings(start_pan=float(pose[0]), start_tilt=float(pose[1])))
    image = robot.reset().image.astype(int)
    inside = np.zeros((224, 224), bool)
    inside[centre[1] - 15 : centre[1] + 15, centre[0] - 15 : centre[0] + 15] = True
    noise = image - np.where(inside[..., None], (200, 80, 80), 0)
    assert noise.min() == 0 and noise.max() == 14
    counts = np.bincount(noise.reshape(-1), minlength=15)
    assert counts.size == 15 and np.abs(counts / noise.size - 1 / 15).max() < 0.005


def test_noise_of_the_square_differs_between_frames_and_channels():
    robot = make('square', SimulatorSettings())
    first, second = (robot.reset().image[:60].astype(float) for _ in range(2))  # the square is lower down
    for a, b in [(first, second), (first[..., 0], first[..., 1]), (first[:, 1:], first[:, :-1])]:
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 0.03


def power_slope(image: np.ndarray) -> float:
    """Slope of log power over log frequency of the brightness, over all directions."""
    grey = image.mean(-1) - image.mean()
    window = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1]))
    power = np.abs(np.fft.fft2(grey * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.fftfreq(grey.shape[1])[None])
    edges = np.geomspace(0.02, 0.35, 10)
    bins = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)]
    return float(np.polyfit([np.log(frequency[b].mean()) for b in bins], [np.log(power[b].mean()) for b in bins], 1)[0])


@pytest.mark.parametrize('scene', range(4))
def test_a_room_has_the_spectrum_of_photographs(scene):
    # Natural images: power falls with frequency to the power of about -1.8 to -2.4 (Field 1987).
    panorama = RoomEnv(scene=scene).panorama
    assert -2.9 < power_slope(panorama) < -1.7
    assert 25 < panorama.mean(-1).std() < 80 and 50 < panorama.mean() < 205
    clipped = ((panorama == 0) | (panorama == 255)).mean()
    assert clipped < 0.1


def test_a_room_has_edges_and_colours():
    panorama = RoomEnv().panorama
    grey = cv2.cvtColor(panorama, cv2.COLOR_RGB2GRAY)
    assert cv2.Canny(cv2.GaussianBlur(grey, (0, 0), 2), 30, 90).astype(bool).mean() > 0.005
    assert np.abs(panorama.astype(int) - panorama.mean(-1, keepdims=True)).mean() > 8


def test_scene_and_seed_choose_the_room():
    same, scene, seed = RoomEnv(scene=2, seed=1), RoomEnv(scene=3, seed=1), RoomEnv(scene=2, seed=2)
    np.testing.assert_array_equal(same.panorama, RoomEnv(scene=2, seed=1).panorama)
    for other in (scene, seed):
        assert np.abs(same.panorama.astype(int) - other.panorama).mean() > 15


def test_every_pose_shows_the_panorama_and_no_border():
    # A panorama without a dark pixel: the border would be black.
    env = RoomEnv(noise_sigma=0.0)
    env.panorama = np.full_like(env.panorama, 255)
    for pose in [(90, 40), (90, -40), (-90, 40), (-90, -40), (0, 0), (89.97, 39.93)]:
        assert env.view(np.array(pose, float), 0.0, 0).min() == 255


def test_turning_shifts_the_image_by_the_angle():
    env = RoomEnv(noise_sigma=0.0)
    middle = env.view(np.array([3.0, 2.0]), 0.0, 0).astype(np.float32).mean(-1)
    turned = env.view(np.array([9.0, -1.0]), 0.0, 0).astype(np.float32).mean(-1)
    window = cv2.createHanningWindow((224, 224), cv2.CV_32F)
    (right, down), _ = cv2.phaseCorrelate(middle, turned, window)
    # Left: the image shifts right. Down: the image shifts up.
    assert right == pytest.approx(6 / VIEW_DEG[0] * 224, abs=0.7)
    assert down == pytest.approx(-3 / VIEW_DEG[1] * 224, abs=0.7)


def test_the_smallest_turn_changes_the_image():
    env = RoomEnv(noise_sigma=0.0)
    still, turned = (env.view(np.array([pan, 0.0]), 0.0, 0).astype(int) for pan in (0.0, 0.05))
    assert np.abs(still - turned).mean() > 0.1


def test_the_camera_noise_has_the_configured_sigma():
    quiet, noisy = RoomEnv(noise_sigma=0.0), RoomEnv(noise_sigma=2.0)
    pose = np.zeros(2)
    clean = quiet.view(pose, 0.0, 0)
    inner = (clean > 12) & (clean < 243)
    noise = (noisy.view(pose, 0.0, 0).astype(int) - clean)[inner]
    assert noise.std() == pytest.approx(2.0, abs=0.1) and abs(noise.mean()) < 0.05
    again = (noisy.view(pose, 0.0, 1).astype(int) - clean)[inner]
    assert abs(np.corrcoef(noise, again)[0, 1]) < 0.03


def test_moving_objects_move_with_time_and_nothing_else_does():
    env, still = RoomEnv(moving_things=8, noise_sigma=0.0), RoomEnv(noise_sigma=0.0)
    pose = np.zeros(2)
    poses = [np.array([pan, tilt], float) for pan in (-60, 0, 60) for tilt in (-20, 20)]
    changed = [np.mean(env.view(p, 0.0, 0) != env.view(p, 2.0, 0)) for p in poses]
    assert max(changed) > 0.005 and np.mean(changed) < 0.5
    np.testing.assert_array_equal(still.view(pose, 0.0, 0), still.view(pose, 2.0, 0))
    np.testing.assert_array_equal(env.view(pose, 1.5, 0), env.view(pose, 1.5, 0))


def test_an_image_file_is_used_as_panorama(tmp_path):
    height, width = 300, 900
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = (10, 60, 220)  # BGR: the left half is red
    path = tmp_path / 'own.png'
    cv2.imwrite(str(path), picture)
    robot = make('sim', SimulatorSettings(panorama=str(path), noise_sigma=0.0, start_pan=80.0))
    np.testing.assert_array_equal(np.unique(robot.reset().image.reshape(-1, 3), axis=0), [[220, 60, 10]])
    right = make('sim', SimulatorSettings(panorama=str(path), noise_sigma=0.0, start_pan=-80.0))
    assert right.reset().image.max() == 0


def test_an_invalid_panorama_is_refused(tmp_path):
    (tmp_path / 'text.png').write_text('no picture')
    for path in (tmp_path / 'text.png', tmp_path / 'missing.png', tmp_path):
        with pytest.raises(UserError, match='panorama'):
            make('sim', SimulatorSettings(panorama=str(path)))


def test_the_panorama_covers_all_views():
    height, width, _ = RoomEnv().panorama.shape
    assert width >= (180 + VIEW_DEG[0]) * PIXELS_PER_DEGREE and height >= (80 + VIEW_DEG[1]) * PIXELS_PER_DEGREE


def test_thirty_images_a_second_cost_less_than_a_fifth_of_a_core():
    robot = make('sim', SimulatorSettings(moving_things=5))
    robot.reset()
    before = time.process_time()
    for _ in range(60):
        robot.step([1.0, 0.5])
    assert (time.process_time() - before) / 2.0 < 0.2


def test_each_scenery_has_the_texture_of_its_kind():
    panoramas = {name: RoomEnv(scenery=name, noise_sigma=0.0).panorama for name in SCENERIES}
    assert panoramas['bare'].std() < panoramas['room'].std() / 3
    side = round(15 * PIXELS_PER_DEGREE)
    np.testing.assert_array_equal(panoramas['tiles'][:, side:], panoramas['tiles'][:, :-side])
    np.testing.assert_array_equal(panoramas['tiles'][side:], panoramas['tiles'][:-side])
    left, right = np.array_split(panoramas['photograph'].astype(float), 2, axis=1)
    assert abs(left.mean() - right.mean()) > 15  # more sky on one side


@pytest.mark.parametrize('name', SCENERIES)
def test_a_scenery_is_deterministic_in_seed_and_scene(name):
    first = RoomEnv(scenery=name, scene=1, seed=2).panorama
    np.testing.assert_array_equal(first, RoomEnv(scenery=name, scene=1, seed=2).panorama)
    for other in (RoomEnv(scenery=name, scene=2, seed=2), RoomEnv(scenery=name, scene=1, seed=3)):
        assert np.abs(first.astype(int) - other.panorama).mean() > 1


def test_an_unknown_scenery_is_refused():
    with pytest.raises(UserError, match='scenery'):
        SimulatorSettings(scenery='moon')


def test_the_light_varies_periodically():
    env = RoomEnv(light_drift=0.5, light_period=4.0, noise_sigma=0.0)
    bright, middle, dark = (env.view(np.zeros(2), seconds, 0).mean() for seconds in (1.0, 2.0, 3.0))
    assert dark == pytest.approx(0.5 * middle, rel=0.02) and bright > 1.2 * middle
    np.testing.assert_array_equal(env.view(np.zeros(2), 2.0, 0), RoomEnv(noise_sigma=0.0).view(np.zeros(2), 0.0, 0))


def test_a_fan_rotates_at_its_position_and_nothing_else_moves():
    env = RoomEnv(fan_size=20.0, fan_speed=1.0, noise_sigma=0.0)
    still = RoomEnv(noise_sigma=0.0)
    poses = [np.array([pan, tilt], float) for pan in range(-90, 91, 15) for tilt in (-30, 0, 30)]
    moved = [(env.view(p, 0.1, 0) != env.view(p, 0.0, 0)).any(-1) for p in poses]
    drawn = [(env.view(p, 0.0, 0) != still.view(p, 0.0, 0)).any(-1) for p in poses]
    share = np.pi * 20.0**2 / 4 / (VIEW_DEG[0] * VIEW_DEG[1])
    assert 0.3 * share < max(m.mean() for m in moved) < share
    assert max(d.mean() for d in drawn) == pytest.approx(share, rel=0.1)  # and its smooth border
    assert not any(d.any() for d in drawn[:3]), 'seen from the far end'
    before = poses[int(np.argmax([d.mean() for d in drawn]))]
    np.testing.assert_array_equal(env.view(before, 0.0, 0), env.view(before, 1.0, 0))  # a whole turn later


def test_the_next_scene_is_shown_after_change_at():
    env = RoomEnv(scene=4, change_at=10.0, noise_sigma=0.0)
    before, after = (RoomEnv(scene=scene, noise_sigma=0.0).view(np.zeros(2), 0.0, 0) for scene in (4, 5))
    np.testing.assert_array_equal(env.view(np.zeros(2), 9.99, 0), before)
    np.testing.assert_array_equal(env.view(np.zeros(2), 10.0, 0), after)


def robot_without_noise(**settings):
    return make('sim', SimulatorSettings.from_flat({'noise_sigma': 0.0, 'lock_step': True} | settings))


def test_backlash_delays_the_camera_after_a_reversal_only():
    with_play, without = robot_without_noise(gear_play=2.0), robot_without_noise()
    with_play.reset(), without.reset()

    def turn(degrees):
        return tuple(robot.step([degrees, 0.0]) for robot in (with_play, without))

    moved, plain = turn(1.0)  # uses the half of the play that is free on either side
    np.testing.assert_array_equal(moved.applied, plain.applied)
    np.testing.assert_array_equal(moved.joints, plain.joints)
    np.testing.assert_array_equal(moved.image, robot_without_noise().reset().image)
    on, there = turn(4.0), robot_without_noise(start_pan=4.0).reset()
    np.testing.assert_array_equal(on[0].image, there.image)  # at 5 degrees by its joints
    back, _ = turn(-2.0)
    np.testing.assert_array_equal(back.image, there.image)
    further, _ = turn(-1.0)
    np.testing.assert_array_equal(further.image, robot_without_noise(start_pan=3.0).reset().image)
