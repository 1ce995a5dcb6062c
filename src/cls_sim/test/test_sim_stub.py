"""The stub: nine actions of 0.1 s, and random pictures around a fixed square."""

import itertools

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from cls_common.robot import Kind
from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds import STUB_ID
from cls_sim.worlds.stub import SPEEDS


@pytest.fixture
def stub():
    made = make('stub', SimulatorSettings(seed=1))
    yield made
    made.close()


def test_there_are_exactly_nine_actions_of_two_motors(stub):
    channels = stub.info.channels
    assert [(c.name, c.kind) for c in channels] == [('motor_left', Kind.DISCRETE), ('motor_right', Kind.DISCRETE)]
    stub.reset()
    wanted = np.random.default_rng(0).uniform(-1, 3, (200, 2))
    applied = {tuple(stub.step(values).applied) for values in wanted}
    assert applied == set(itertools.product((0.0, 1.0, 2.0), repeat=2))


def test_choices_are_the_speeds_of_the_motors_and_choice_0_is_rest(stub):
    env = gymnasium.make(STUB_ID).unwrapped
    check_env(env, skip_render_check=True)
    env.reset(seed=0)
    found = {
        env.step({'motor_left': np.int64(left), 'motor_right': np.int64(right)})[4]['speeds']
        for left, right in itertools.product(range(3), repeat=2)
    }
    assert found == set(itertools.product((-0.15, 0.0, 0.15), repeat=2))
    assert SPEEDS[int(stub.info.zero()[0])] == 0.0


def test_an_action_takes_a_tenth_of_a_second(stub):
    stub.reset()
    for action in ([0, 0], [1, 2]):
        step = stub.step(action)
        assert step.end_ns - step.start_ns == 100_000_000 and step.stamp_ns > step.end_ns


def test_pictures_are_random_but_for_the_square(stub):
    pictures = np.array([stub.reset().image, *(stub.step([0, 0]).image for _ in range(3))])
    changes = (pictures != pictures[0]).any(axis=(0, 3))
    assert (~changes[97:127, 97:127]).all() and changes.mean() > 0.97
    assert pictures.min() == 0 and pictures.max() == 255
