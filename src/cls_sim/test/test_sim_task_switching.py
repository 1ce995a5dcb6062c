"""The world with changing tasks: dynamics by hand, tasks by number, schedules, worlds of one's own, and the robot."""

import random
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import check_env
from hypothesis import given, strategies
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Kind
from cls_sim.bodies.gym_body import GymBody
from cls_sim.robot import SimulatedRobot
from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds import TASK_SWITCHING_ID
from cls_sim.worlds.task_schedule import Switch, TaskSchedule, TaskScheduleSettings
from cls_sim.worlds.task_switching import task_vector, TaskSwitchingEnv, TaskSwitchingSettings


def world(schedule: dict[str, Any] | None = None, seed: int = 0, **settings: Any) -> TaskSwitchingEnv:
    env = TaskSwitchingEnv(TaskSwitchingSettings(schedule=TaskScheduleSettings(**schedule or {}), **settings))
    env.reset(seed=seed)
    return env


def tasks_of(env: TaskSwitchingEnv, actions: int) -> np.ndarray:
    """Returns the task after each action, (actions, D); ended episodes begin again."""
    found, still = [], np.zeros(env.settings.action_dim, np.float32)
    for _ in range(actions):
        _, _, _, is_cut, _ = env.step(still)
        found.append(env.task)
        if is_cut:
            env.reset()
    return np.array(found)


@pytest.mark.filterwarnings('ignore:.*A Box observation space')  # its values have no bounds
def test_it_is_a_gymnasium_environment_of_the_documented_sizes():
    env = gymnasium.make(TASK_SWITCHING_ID).unwrapped
    check_env(env)
    assert env.action_space.shape == (32,) and env.action_space.low[0] == -1.0 and env.action_space.high[0] == 1.0
    assert {name: space.shape for name, space in env.observation_space.items()} == {'sense_0': (64,), 'sense_1': (64,)}
    three = world(observation_dim=5, action_dim=2, num_modalities=3)
    assert [sense.shape for sense in three.observe().values()] == [(5,)] * 3


def test_state_reward_and_info_follow_the_equations():
    env = world(observation_dim=4, action_dim=2, noise=0.0)
    state, task = env.state.copy(), task_vector(0, 4)
    for step, action in enumerate(([1.0, -0.5], [0.25, 0.0]), 1):
        senses, reward, terminated, truncated, info = env.step(np.array(action, np.float32))
        # 0.05 times a difficulty of 0.5, and the action filled up with zeros.
        state = 0.9 * state + 0.1 * np.array([*action, 0.0, 0.0]) + 0.025 * task
        np.testing.assert_allclose(senses['sense_0'], state, rtol=1e-6)
        assert reward == pytest.approx(-np.sqrt(((state - task) ** 2).sum()))
        assert (terminated, truncated, info) == (False, False, {'time_step': step, 'current_task': 0})


def test_the_state_starts_from_a_standard_normal_and_has_the_noise_of_its_setting():
    starts = np.concatenate([world(seed=seed).state for seed in range(100)])
    assert abs(starts.mean()) < 0.05 and abs(starts.std() - 1.0) < 0.05
    noisy, quiet = world(noise=0.3, observation_dim=4096), world(noise=0.0, observation_dim=4096)
    still = np.zeros(32, np.float32)
    noisy.step(still), quiet.step(still)
    assert np.std(noisy.state - quiet.state) == pytest.approx(0.3, rel=0.05)


def test_the_noise_of_a_sense_is_a_tenth_of_its_number():
    env = world(observation_dim=4096, num_modalities=4)
    spreads = [float(np.std(sense - env.state)) for sense in env.observe().values()]
    assert spreads[0] < 1e-6 and spreads[1:] == pytest.approx([0.1, 0.2, 0.3], rel=0.05)


@pytest.mark.parametrize(('episode', 'ends'), [(100, [100, 200]), (7, list(range(7, 250, 7))), (0, [])])
def test_an_episode_is_truncated_after_its_actions_and_an_endless_one_never(episode: int, ends: list[int]):
    env, found = world(episode=episode), []
    for action in range(1, 250):
        _, _, terminated, truncated, info = env.step(np.zeros(32, np.float32))
        assert not terminated
        if truncated:
            found.append(action)
            assert info['time_step'] == episode
            env.reset()
    assert found == ends


def test_a_number_always_gives_the_same_task_and_a_change_begins_an_episode():
    env, other = world(seed=1), world(seed=2)
    env.step(np.zeros(32, np.float32))
    before = env.state
    _, info = env.change_task(7)
    other.change_task(7)
    assert info == {'time_step': 0, 'current_task': 7} and not np.array_equal(env.state, before)
    np.testing.assert_array_equal(env.task, other.task)
    seventh = env.task
    assert env.change_task()[1]['current_task'] == 8 and not np.array_equal(env.task, seventh)
    env.change_task(7)
    np.testing.assert_array_equal(env.task, seventh)
    assert abs(task_vector(3, 4096).mean()) < 0.05 and abs(task_vector(3, 4096).std() - 1.0) < 0.05
    with pytest.raises(UserError, match='0 or more'):
        env.change_task(-1)


def test_no_global_random_state_is_touched():
    np.random.seed(3)
    random.seed(3)
    before, generator = np.random.get_state()[1].copy(), random.getstate()
    env = world({'tasks': 3, 'interval': 20}, seed=1)
    tasks_of(env, 150)
    env.change_task()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert random.getstate() == generator


def test_scheduled_tasks_follow_their_order_and_the_state_goes_on():
    env = world({'order': '4 1 4', 'interval': 50, 'spread': 0.0}, noise=0.0, episode=0)
    assert env.schedule.switches == (Switch(1, 50, 50), Switch(4, 100, 100))
    found = tasks_of(env, 200)
    for part, task in ((found[:50], 4), (found[50:100], 1), (found[100:], 4)):
        np.testing.assert_array_equal(part, np.tile(task_vector(task, 64), (len(part), 1)))
    env.reset(seed=0)
    tasks_of(env, 50)
    before = env.state
    env.step(np.zeros(32, np.float32))
    np.testing.assert_allclose(env.state, 0.9 * before + 0.025 * task_vector(1, 64))
    assert env.info()['current_task'] == 1


def test_a_gradual_switch_moves_the_task_evenly_and_others_stay_abrupt():
    env = world({'order': '0 1 2', 'interval': 60, 'spread': 0.0, 'ramp': 10, 'gradual': '2'})
    assert env.schedule.switches == (Switch(1, 60, 60), Switch(2, 120, 129))
    found = tasks_of(env, 140)
    one, two = task_vector(1, 64), task_vector(2, 64)
    np.testing.assert_array_equal(found[60], one)
    np.testing.assert_allclose(found[120:130], [one + (two - one) * share / 10 for share in range(1, 11)])
    np.testing.assert_array_equal(found[129], two)
    np.testing.assert_array_equal(found[139], two)


def test_a_changed_task_holds_until_the_next_scheduled_switch_even_within_a_ramp():
    env = world({'tasks': 3, 'interval': 30, 'spread': 0.0, 'ramp': 10}, episode=0)
    tasks_of(env, 35)
    env.change_task(9)
    np.testing.assert_array_equal(tasks_of(env, 25)[-1], task_vector(9, 64))
    np.testing.assert_array_equal(tasks_of(env, 10)[-1], task_vector(2, 64))


def test_a_switch_begins_an_episode_where_the_setting_says_so():
    env = world({'tasks': 2, 'interval': 30, 'spread': 0.0}, reset_at_switch=True)
    cuts = []
    for action in range(40):
        if env.step(np.zeros(32, np.float32))[3]:
            cuts.append(action)
            env.reset()
    assert cuts == [29]


def test_without_an_interval_the_first_task_stays():
    env = world({'order': '5 6'})
    assert env.schedule.switches == ()
    np.testing.assert_array_equal(tasks_of(env, 300), np.tile(task_vector(5, 64), (300, 1)))


@given(strategies.integers(0, 2**31), strategies.integers(1, 5000), strategies.floats(0.0, 0.9))
def test_intervals_are_within_their_spread_and_of_the_seed(seed: int, interval: int, spread: float):
    settings = TaskScheduleSettings(tasks=6, interval=interval, spread=spread)
    switches = TaskSchedule(settings, seed).switches
    assert switches == TaskSchedule(settings, seed).switches == world(
        {'tasks': 6, 'interval': interval, 'spread': spread}, seed
    ).schedule.switches  # fmt: skip
    gaps = np.diff([0] + [switch.begin for switch in switches])
    assert len(switches) == 5 and gaps.min() >= settings.shortest_interval >= 1
    assert gaps.max() <= interval * (1.0 + spread) + 1.0


def test_another_seed_gives_other_times():
    settings = TaskScheduleSettings(tasks=6, interval=1000)
    assert TaskSchedule(settings, 1).switches != TaskSchedule(settings, 2).switches


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'order': '0 x'}, 'whole numbers'),
        ({'order': '0 1 1'}, 'another task'),
        ({'tasks': 3, 'gradual': '3'}, 'numbers of switches'),
        ({'tasks': 3, 'interval': 100, 'spread': 0.5, 'ramp': 51}, 'at most 50'),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(settings: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        TaskScheduleSettings(**settings)


def test_an_action_longer_than_the_state_is_refused():
    with pytest.raises(UserError, match='at most observation_dim, 8'):
        TaskSwitchingSettings(observation_dim=8, action_dim=9)


class HalfOfTheAction(TaskSwitchingEnv):
    """A world of one's own: the state is half of the action."""

    def step(self, action: Any) -> Any:
        self.advance_task()
        self.state = np.zeros(self.settings.observation_dim)
        self.state[: len(action)] = 0.5 * action
        return self.observe(), self.reward(), False, self.is_truncated(), self.info()


def test_a_subclass_may_have_a_step_of_its_own_and_is_a_robot():
    env = HalfOfTheAction(TaskSwitchingSettings(observation_dim=4, action_dim=2, num_modalities=1, episode=3))
    robot = SimulatedRobot(GymBody('half', env, SimulatorSettings(), splits=True), SimulatorSettings())
    robot.reset()
    found = [robot.step([1.0, -0.5]) for _ in range(3)]
    np.testing.assert_array_equal(found[0].observations['sense_0'], [0.5, -0.25, 0.0, 0.0])
    assert [step.truncated for step in found] == [False, False, True]


def test_the_robot_senses_each_modality_by_name_and_hides_the_task():
    chosen = {'robot': 'task_switching', 'seed': 4, 'task_switching.num_modalities': 3}
    schedule = {'tasks': 3, 'interval': 40, 'spread': 0.0}
    named = {f'task_switching.schedule.{name}': value for name, value in schedule.items()}
    robot = make('task_switching', SimulatorSettings.from_flat(chosen | named))
    assert robot.info.modalities == ('sense_0', 'sense_1', 'sense_2') and robot.info.has_reward
    assert {(channel.kind, channel.low, channel.high) for channel in robot.info.channels} == {(Kind.VELOCITY, -1, 1)}
    assert len(robot.info.channels) == 32
    env = world(schedule, seed=4, num_modalities=3)
    now = robot.reset()
    for draw in np.random.default_rng(0).uniform(-2, 2, (120, 32)):
        now = robot.step(draw)
        sensed, reward, _, truncated, _ = env.step(np.clip(draw, -1, 1).astype(np.float32))
        assert now.observations.keys() == sensed.keys()
        assert now.reward == np.float32(reward) and now.truncated == truncated
        for name, values in sensed.items():
            np.testing.assert_array_equal(now.observations[name], values)
        if truncated:
            env.reset()
