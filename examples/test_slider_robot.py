"""The slider: the contract, what its settings do, and a model that learns from it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cls_learning.model_store.listing import list_models
from cls_sim import testing
from cls_sim.robots import make, SimulatedRobot, SimulatorSettings
from cls_training.training import train, TrainOptions


@pytest.fixture
def robot(installed: None) -> Iterator[SimulatedRobot]:
    made = make('slider', SimulatorSettings(robot='slider', seed=testing.SEED))
    yield made
    made.close()


class TestSlider(testing.RobotSuite):
    """The contract of every simulated robot."""


def test_an_action_shifts_the_image_and_the_rail_ends() -> None:
    robot = make('slider', SimulatorSettings.from_flat({'robot': 'slider', 'slider.speed': 0.5, 'slider.length': 1.0}))
    robot.reset()
    left = [robot.step([-0.5]) for _ in range(3)][-1].image
    assert left is not None
    np.testing.assert_array_equal(robot.step([-0.5]).image, left)
    moved = robot.step([0.25]).image  # half of what the camera sees
    assert moved is not None
    shifted = np.abs(moved[0, :110].astype(int) - left[0, 112:222].astype(int))
    assert shifted.mean() < 3.0 < np.abs(moved[0, :110].astype(int) - left[0, :110]).mean()


def test_an_episode_ends_after_as_many_actions_as_set() -> None:
    robot = make('slider', SimulatorSettings.from_flat({'robot': 'slider', 'slider.episode': 3}))
    robot.reset()
    assert [robot.step([0.1]).truncated for _ in range(6)] == [False, False, True] * 2


def test_a_model_learns_from_it(tmp_path: Path) -> None:
    train(TrainOptions(robot='slider', model='a', models_dir=tmp_path, steps=5, seed=1, encoder='thumbnail'))
    (model,) = list_models(tmp_path)
    assert (model.robot, model.total_steps) == ('slider', 5)
