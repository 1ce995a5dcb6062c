"""Gymnasium spaces: the supported ones, and refusal of the others."""

import gymnasium
from gymnasium import spaces
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.robots import make, SimulatorSettings


class Echo(gymnasium.Env):
    """Observes its action; has no rendering."""

    def __init__(self, action_space, observation_space, render_mode=None):
        self.action_space, self.observation_space = action_space, observation_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.heard = action
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 0.5, False, False, {}


@pytest.fixture
def make_echo():
    made = []

    def build(action_space, observation_space):
        name = f'Echo{len(made)}-v0'
        kwargs = {'action_space': action_space, 'observation_space': observation_space}
        gymnasium.register(name, Echo, kwargs=kwargs, disable_env_checker=True)
        made.append(name)
        return make(f'gym:{name}', SimulatorSettings())

    yield build
    for name in made:
        del gymnasium.registry[name]


VECTOR = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize(
    ('space', 'low', 'high'),
    [
        (spaces.Discrete(3, start=4), [0], [2]),
        (spaces.MultiDiscrete([2, 5]), [0, 0], [1, 4]),
        (spaces.Box(-2, 3, (2, 2), np.float32), [-2] * 4, [3] * 4),
        (spaces.Box(-7, 7, (1,), np.int64), [-7], [7]),
        (spaces.Box(0, 255, (2,), np.uint8), [0, 0], [255, 255]),
        (spaces.Box(-0.4, 0.7, (2,), np.float64), [np.float32(-0.4)] * 2, [np.float32(0.7)] * 2),
        (spaces.Box(-0.1, 0.1, (1,), np.float16), [np.float32(np.float16(-0.1))], [np.float32(np.float16(0.1))]),
        (spaces.MultiBinary([2, 2]), [0] * 4, [1] * 4),
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2,))]), [0, -1, -1], [1, 1, 1]),
        (spaces.Dict({'arm': spaces.Box(-2, 2, (2,)), 'grip': spaces.MultiBinary(1)}), [-2, -2, 0], [2, 2, 1]),
    ],
)
def test_every_action_within_the_channels_is_an_element_of_the_space(make_echo, space, low, high):
    robot = make_echo(space, VECTOR)
    robot.reset()
    np.testing.assert_array_equal(robot.info.low, low)
    np.testing.assert_array_equal(robot.info.high, high)
    corners = [np.full(len(low), -1.0), np.full(len(low), 1.0)]
    for unit in [*corners, *np.random.default_rng(0).uniform(-1, 1, (30, len(low)))]:
        robot.step(robot.info.to_units(unit))  # the environment itself asserts that it contains the action


def test_integers_are_rounded_and_reported_as_applied(make_echo):
    robot = make_echo(spaces.Box(-7, 7, (2,), np.int64), VECTOR)
    robot.reset()
    np.testing.assert_array_equal(robot.step([2.7, -2.7]).applied, [3, -3])


def test_the_parts_of_a_dictionary_of_actions_are_channels_by_name(make_echo):
    robot = make_echo(spaces.Dict({'arm': spaces.Box(-2, 2, (2,)), 'grip': spaces.Discrete(2)}), VECTOR)
    assert [channel.name for channel in robot.info.channels] == ['arm_0', 'arm_1', 'grip']


@pytest.mark.parametrize(
    'space',
    [
        spaces.Box(-np.inf, np.inf, (1,)),
        spaces.Box(-1e300, 1e300, (1,), np.float64),
        spaces.Text(4),
        spaces.Box(-(2**62), 2**62, (1,), np.int64),
        spaces.Dict({'say': spaces.Text(3)}),
    ],
)
def test_an_unsupported_action_space_is_refused(make_echo, space):
    with pytest.raises(UserError, match='actions of robot'):
        make_echo(space, VECTOR)


def test_an_observation_of_variable_size_is_refused(make_echo):
    with pytest.raises(UserError, match='fixed size'):
        make_echo(spaces.Discrete(2), spaces.Sequence(VECTOR))


def test_a_dictionary_of_observations_is_one_flat_state(make_echo):
    robot = make_echo(spaces.Discrete(2), spaces.Dict({'a': VECTOR, 'b': spaces.Discrete(4)}))
    step = robot.reset()
    assert robot.info.modalities == ('state',) and step.image is None
    assert step.observations['state'].shape == (3 + 4,)  # a choice of four is one-hot


def test_an_image_observation_is_the_camera(make_echo):
    robot = make_echo(spaces.Discrete(2), spaces.Box(0, 255, (60, 80, 3), np.uint8))
    step = robot.reset()
    assert robot.info.modalities == ('camera',) and step.observations == {}
    assert step.image.shape == (224, 224, 3) and step.image.std() > 10
