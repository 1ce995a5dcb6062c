"""The toroidal dot: golden geometry, errors of the trivial predictions, starts, and the robot."""

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Kind
from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds import TOROIDAL_DOT_ID
from cls_sim.worlds.toroidal_dot import (
    advance,
    held_out_rows,
    render,
    RIGHT,
    start_rows,
    STAY,
    ToroidalDotEnv,
    ToroidalDotSettings,
)


def robot(**settings):
    own = {f'toroidal_dot.{name}': value for name, value in settings.items() if name != 'seed'}
    chosen = {'robot': 'toroidal_dot', 'seed': settings.get('seed', 0)}
    return make('toroidal_dot', SimulatorSettings.from_flat(chosen | own))


def starts(count: int, **settings) -> np.ndarray:
    """Returns the positions (x, y) in which episodes start, (count, 2)."""
    env = ToroidalDotEnv(ToroidalDotSettings(**settings))
    return np.array([env.reset(seed=None if episode else 0)[1]['position'] for episode in range(count)])


@pytest.mark.parametrize(('radius', 'white'), [(5, 81), (2, 13), (0, 1)])
def test_a_dot_has_its_golden_number_of_white_pixels_at_every_edge(radius, white):
    for x, y in ((112, 112), (0, 0), (223, 100), (100, 223), (2, 221)):
        image = render(x, y, radius)
        assert image.shape == (224, 224, 3) and image.dtype == np.uint8 and set(np.unique(image)) == {0, 255}
        assert (image == 255).all(-1).sum() == white == (image == 255).any(-1).sum()
        assert image[y, x].tolist() == [255] * 3


def test_a_picture_wraps_on_both_axes():
    middle = render(112, 112)
    np.testing.assert_array_equal(render(0, 0), np.roll(middle, (112, 112), (0, 1)))
    np.testing.assert_array_equal(render(220, 3), np.roll(middle, (-109, 108), (0, 1)))
    np.testing.assert_array_equal(render(224 + 7, -3), render(7, 221))


def test_many_pictures_at_once_equal_single_ones():
    x, y = np.random.default_rng(0).integers(0, 224, (2, 3, 4))
    together = render(x, y)
    assert together.shape == (3, 4, 224, 224, 3)
    for place in np.ndindex(x.shape):
        np.testing.assert_array_equal(together[place], render(x[place], y[place]))
    np.testing.assert_array_equal(render(x, 9)[1, 2], render(x[1, 2], 9))


@pytest.mark.parametrize(('move', 'period'), [(27, 224), (7, 32)])
def test_the_dot_is_back_after_its_golden_number_of_moves(move, period):
    columns = [50]
    for _ in range(period):
        columns.append(int(advance(columns[-1], RIGHT, move)))
    assert columns[-1] == 50 and len(set(columns)) == period and columns[1] == 50 + move
    np.testing.assert_array_equal(advance([3, 223], [STAY, RIGHT], move), [3, move - 1])


def test_trivial_predictions_have_their_golden_errors():
    def error(predicted, seen):
        return float(np.mean((predicted - seen) ** 2))

    # Over all positions each pixel is white in 81 of 50,176 pictures.
    share = 81 / 224**2
    variance = share * (1 - share)
    before, after = render(50, 60) / 255.0, render(77, 60) / 255.0
    black, copy, blind = error(0.0, after), error(before, after), error((before + after) / 2, after)
    assert black == pytest.approx(0.00161432, abs=5e-9) and error(0.0, render(9, 9, 2) / 255.0) == pytest.approx(
        0.00025909, abs=5e-9
    )
    assert 1 - black / variance == pytest.approx(0.0, abs=0.002)
    assert 1 - blind / variance == pytest.approx(0.499192, abs=5e-7)
    assert 1 - copy / variance == pytest.approx(-1.003234, abs=1e-6)
    assert 0.1 * variance == pytest.approx(0.00016117, abs=5e-9)


def test_episodes_start_everywhere_by_the_seed_and_are_truncated():
    found = starts(400)
    assert found.min() < 5 and found.max() > 218 and (np.ptp(found, axis=0) > 200).all()
    env = gymnasium.make(TOROIDAL_DOT_ID).unwrapped
    check_env(env, skip_render_check=True)
    _, info = env.reset(seed=0)
    assert info['position'] == tuple(found[0])
    over = [env.step(RIGHT)[3] for _ in range(20)]
    assert over == [False] * 19 + [True]
    endless = ToroidalDotEnv(ToroidalDotSettings(episode=0))
    endless.reset(seed=0)
    assert not any(endless.step(STAY)[3] for _ in range(200))


def test_rows_can_be_held_out():
    settings = {'row_low': 10, 'row_high': 50, 'row_step': 8}
    rows, held_out = (find(ToroidalDotSettings(**settings)) for find in (start_rows, held_out_rows))
    assert rows.tolist() == [10, 18, 26, 34, 42, 50]
    assert sorted([*rows, *held_out]) == list(range(224))
    found = starts(200, **settings)
    assert set(found[:, 1]) == set(rows) and np.ptp(found[:, 0]) > 180
    assert not len(held_out_rows(ToroidalDotSettings()))
    with pytest.raises(UserError, match='at least row_low, 60'):
        ToroidalDotSettings(row_low=60, row_high=50)


def test_an_episode_can_start_at_a_given_position():
    env = ToroidalDotEnv()
    image, info = env.reset(seed=0, options={'position': (0, 0)})
    assert info['position'] == (0, 0)
    np.testing.assert_array_equal(image, render(0, 0))


def test_the_robot_shows_the_dot_after_each_action_and_restarts_at_another_place():
    own = robot(seed=3, radius=2, move=7, episode=5)
    env = ToroidalDotEnv(ToroidalDotSettings(radius=2, move=7, episode=5))
    assert [(c.kind, c.low, c.high) for c in own.info.channels] == [(Kind.DISCRETE, 0, 1)]
    assert own.info.modalities == ('camera',) and not own.info.has_reward
    now, (_, info) = own.reset(), env.reset(seed=3)
    for number, action in enumerate([1, 0, 1, 1, 1]):
        np.testing.assert_array_equal(now.image, render(*info['position'], 2))
        now, info = own.step([action]), env.step(action)[4]
        assert now.truncated == (number == 4) and np.isnan(now.reward)
    np.testing.assert_array_equal(now.image, render(*info['position'], 2))
    assert env.reset()[1]['position'] != info['position']
    np.testing.assert_array_equal(now.restart.image, env.render())
