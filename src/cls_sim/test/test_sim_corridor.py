"""The corridor: layouts, steps and walls, shortest paths, goals hidden from a short look ahead, and the robot."""

import gymnasium
from gymnasium.utils.env_checker import check_env
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Kind
from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds import CORRIDOR_ID
from cls_sim.worlds.corridor import CorridorEnv
from cls_sim.worlds.corridor_map import AGENT, CorridorMap, CorridorSettings, DOWN, LEFT, MOVES, RIGHT, STAY, UP, WALL

LAYOUTS = ('u', 's', 'spiral', 'maze')


def reaches(corridor: CorridorMap, start, goal, look_ahead: int, actions: int = 100) -> bool:
    """Whether a planner arrives that knows all places within `look_ahead` steps, and goes to the one nearest the goal.

    Near is meant in a straight line, which a planner that compares pictures knows at best.
    """
    place, taken = start, 0
    while place != goal and taken < actions:
        steps = {place: 0}
        for step in range(1, look_ahead + 1):
            for known in list(steps):
                for action in range(1, 5):
                    steps.setdefault(corridor.advance(known, action), step)
        best = min(steps, key=lambda p: (np.hypot(p[0] - goal[0], p[1] - goal[1]), steps[p]))
        if best == place:
            return False
        place, taken = best, taken + steps[best]
    return place == goal


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_is_connected_within_walls(layout):
    corridor = CorridorMap(CorridorSettings(layout=layout))
    assert corridor.is_free.shape == (16, 16)
    assert not corridor.is_free[[0, -1]].any() and not corridor.is_free[:, [0, -1]].any()
    assert all(corridor.distance(corridor.places[0], place) >= 0 for place in corridor.places)


def test_the_u_and_its_distances_by_hand():
    corridor = CorridorMap(CorridorSettings(layout='u', width=1))
    column, wall = '#.############.#', '#' * 16
    drawn = [''.join('.' if free else '#' for free in row) for row in corridor.is_free]
    assert drawn == [wall, *[column] * 13, '#..............#', wall]
    assert corridor.distance((1, 1), (14, 1)) == corridor.distance((14, 1), (1, 1)) == 13 + 13 + 13
    assert corridor.distance((5, 14), (5, 14)) == 0


def test_a_maze_has_one_path_between_rooms_and_another_form_by_number():
    mazes = [CorridorMap(CorridorSettings(layout='maze', width=1, number=number)) for number in (0, 1, 0)]
    assert np.array_equal(mazes[0].is_free, mazes[2].is_free) and not np.array_equal(mazes[0].is_free, mazes[1].is_free)
    free = mazes[0].is_free
    # A graph without cycles has one edge less than it has nodes.
    edges = (free[1:] & free[:-1]).sum() + (free[:, 1:] & free[:, :-1]).sum()
    assert edges == free.sum() - 1


def test_actions_move_by_one_cell_and_walls_stop_them():
    corridor = CorridorMap(CorridorSettings(layout='u', width=2))
    assert [corridor.advance((2, 13), action) for action in (STAY, LEFT, RIGHT, UP, DOWN)] == [
        (2, 13), (1, 13), (3, 13), (2, 12), (2, 14),
    ]  # fmt: skip
    assert [corridor.advance((1, 1), action) for action in (LEFT, UP)] == [(1, 1)] * 2
    assert corridor.advance((2, 5), RIGHT) == (2, 5)


@given(strategies.sampled_from(LAYOUTS), strategies.integers(0, 3), strategies.lists(strategies.integers(0, 4)))
@hypothesis_settings(deadline=None, max_examples=40)
def test_a_walk_stays_in_the_corridor_and_is_never_shorter_than_the_distance(layout, number, actions):
    corridor = CorridorMap(CorridorSettings(layout=layout, number=number))
    start = place = corridor.places[number]
    for action in actions:
        place = corridor.advance(place, action)
    assert corridor.is_free[place[1], place[0]]
    assert corridor.distance(start, place) <= sum(action != STAY for action in actions)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_goals_are_far_away_and_hidden_from_a_short_look_ahead(layout):
    corridor, draws = CorridorMap(CorridorSettings(layout=layout)), np.random.default_rng(0)
    pairs = [corridor.draw_pair(draws) for _ in range(30)]
    assert len(set(pairs)) > 20
    for start, goal in pairs:
        straight = abs(goal[0] - start[0]) + abs(goal[1] - start[1])
        assert corridor.distance(start, goal) >= max(20, 2 * straight)
    for look_ahead in (1, 3, 5):
        assert sum(reaches(corridor, *pair, look_ahead) for pair in pairs) <= 0.05 * len(pairs)
    assert all(reaches(corridor, *pair, look_ahead=60) for pair in pairs[:3])


def test_separation_and_detour_select_the_goals():
    near = CorridorMap(CorridorSettings(separation=1, detour=1.0))
    assert len(near.goals((1, 1))) == len(near.places) - 1
    far = CorridorMap(CorridorSettings(separation=30))
    assert {far.distance((1, 1), goal) >= 30 for goal in far.goals((1, 1))} == {True}


@pytest.mark.parametrize(
    ('settings', 'text'),
    [
        ({'cell': 15}, 'one of 7, 8, 14, 16, 28, 32'),
        ({'separation': 50}, 'longest path has 37 steps'),
        ({'cell': 32}, 'longest path has 10 steps'),
        ({'width': 8}, 'longest path has 26 steps'),
    ],
)
def test_settings_without_a_corridor_are_refused(settings, text):
    with pytest.raises(UserError, match=text):
        CorridorMap(CorridorSettings(**settings))


@pytest.mark.parametrize('place', [(0, 0), (5, 5), (-1, 3), (99, 3)])
def test_a_place_in_a_wall_is_refused(place):
    corridor = CorridorMap(CorridorSettings())
    for use in (corridor.render, lambda wrong: corridor.distance((1, 1), wrong)):
        with pytest.raises(UserError, match='column and row of a free cell'):
            use(place)


@pytest.mark.parametrize('cell', [0, 4])
def test_a_picture_shows_walls_and_the_agent_alone(cell):
    corridor, pixels = CorridorMap(CorridorSettings(cell=14)), cell or 14
    image = corridor.render((2, 5), cell)
    assert image.shape == (16 * pixels, 16 * pixels, 3) and image.dtype == np.uint8
    is_agent, is_wall = (image == AGENT).all(-1), (image == WALL).all(-1)
    assert is_agent.sum() == pixels**2 and is_agent[5 * pixels : 6 * pixels, 2 * pixels : 3 * pixels].all()
    np.testing.assert_array_equal(is_wall[::pixels, ::pixels], ~corridor.is_free)
    assert is_wall.sum() == (~corridor.is_free).sum() * pixels**2
    assert not image[~is_agent & ~is_wall].any()


def test_it_is_a_gymnasium_environment_whose_episodes_are_pairs_of_start_and_goal():
    env = gymnasium.make(CORRIDOR_ID).unwrapped
    check_env(env, skip_render_check=True)
    for seed in range(5):
        image, info = env.reset(seed=seed)
        assert info['distance'] == env.map.distance(info['place'], info['goal']) >= 20
        np.testing.assert_array_equal(image, env.map.render(info['place']))
    image, info = env.reset(options={'place': (1, 1), 'goal': (14, 14)})
    assert (info['place'], info['goal'], info['distance']) == ((1, 1), (14, 14), 26)
    image, reward, terminated, truncated, info = env.step(np.int64(DOWN))
    assert (info['place'], info['distance'], reward, terminated, truncated) == ((1, 2), 25, 0.0, False, False)
    with pytest.raises(UserError, match='free cell'):
        env.reset(options={'place': (5, 5)})


def test_the_robot_walks_by_five_actions_and_restarts_elsewhere():
    chosen = {'robot': 'corridor', 'seed': 2, 'corridor.layout': 's', 'corridor.episode': 6}
    robot = make('corridor', SimulatorSettings.from_flat(chosen))
    env = CorridorEnv(CorridorSettings(layout='s', episode=6))
    assert [(c.kind, c.low, c.high) for c in robot.info.channels] == [(Kind.DISCRETE, 0, len(MOVES) - 1)]
    assert robot.info.modalities == ('camera',) and not robot.info.has_reward
    now, (image, _) = robot.reset(), env.reset(seed=2)
    for action in (RIGHT, DOWN, LEFT, UP, STAY, RIGHT):
        np.testing.assert_array_equal(now.image, image)
        now, (image, _, _, truncated, _) = robot.step([action]), env.step(np.int64(action))
    assert now.truncated and truncated
    np.testing.assert_array_equal(now.restart.image, env.reset()[0])
