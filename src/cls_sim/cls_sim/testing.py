"""The contract of every simulated robot as tests. Subclass it beside a robot, with its fixture."""

from dataclasses import replace
import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray

from cls_common.testing import refusal

from .robots import make, SimulatedRobot, SimulatorSettings, Step

SEED, DELAY = 5, 2


def actions(robot: SimulatedRobot, count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Returns random actions within the limits, float32 (A,), robot units."""
    draws = np.random.default_rng(seed).uniform(-1, 1, (count, len(robot.info.channels)))
    return [robot.info.to_units(unit) for unit in draws]


def steps(robot: SimulatedRobot, count: int) -> list[Step]:
    """Resets, acts at random and returns every step, first steps of later episodes included."""
    found = [robot.reset()]
    for action in actions(robot, count):
        found.append(robot.step(action))
        if found[-1].restart is not None:
            found.append(found[-1].restart)
    return found


def digest(found: list[Step]) -> str:
    """Returns a hash of everything in the steps, 64 hex digits."""
    total = hashlib.sha256()
    for step in found:
        for array in (step.image, step.joints, step.joints_before, step.commanded, step.applied):
            total.update(b'' if array is None else np.ascontiguousarray(array).tobytes())
        for name in sorted(step.observations):
            total.update(step.observations[name].tobytes())
        times = (step.start_ns, step.end_ns, step.stamp_ns)
        total.update(repr((step.reward, step.terminal, step.truncated, times)).encode())
    return total.hexdigest()


class RobotSuite:
    """Tests of one simulated robot.

    Fixtures:
        robot (SimulatedRobot): `robots.make(name, SimulatorSettings(seed=testing.SEED))`, not yet reset, closed
            afterwards.
    """

    def test_every_step_has_the_shapes_and_types_of_the_contract(self, robot: SimulatedRobot) -> None:
        width, joints = len(robot.info.channels), len(robot.info.joint_names)
        for step in steps(robot, 40):
            assert (step.image is not None) == ('camera' in robot.info.modalities)
            if step.image is not None:
                assert step.image.dtype == np.uint8 and step.image.shape == (224, 224, 3)
            for vector in (step.commanded, step.applied):
                assert vector.dtype == np.float32 and vector.shape == (width,)
            for angles in (step.joints, step.joints_before):
                assert angles.dtype == np.float64 and angles.shape == (joints,)
            for values in step.observations.values():
                assert values.dtype == np.float32 and values.ndim == 1 and np.isfinite(values).all()
            assert isinstance(step.reward, float) and type(step.terminal) is type(step.truncated) is bool

    def test_info_matches_the_observations_and_channels_of_steps(self, robot: SimulatedRobot) -> None:
        info, step = robot.info, robot.reset()
        assert info.modalities == (*(('camera',) if step.image is not None else ()), *step.observations)
        assert info.modalities
        assert (info.low < info.high).all() and info.settle_time == 0.0
        assert len(info.low) == step.applied.size

    def test_info_says_whether_steps_carry_a_reward_that_a_message_keeps_exactly(self, robot: SimulatedRobot) -> None:
        robot.reset()
        rewards = [robot.step(action).reward for action in actions(robot, 20)]
        assert {bool(np.isfinite(reward)) for reward in rewards} == {robot.info.has_reward}
        assert np.array_equal(np.array(rewards), np.array(rewards, np.float32), equal_nan=True)

    def test_simulated_time_increases_and_an_observation_follows_its_action(self, robot: SimulatedRobot) -> None:
        for before, step in itertools.pairwise(steps(robot, 60)):
            assert before.stamp_ns <= step.start_ns <= step.end_ns < step.stamp_ns
            assert (step.stamp_ns - before.stamp_ns) % round(1e9 / 30) == 0

    def test_joints_continue_from_the_last_step(self, robot: SimulatedRobot) -> None:
        for before, step in itertools.pairwise(steps(robot, 20)):
            if not (before.terminal or before.truncated):
                np.testing.assert_array_equal(step.joints_before, before.joints)

    def test_a_value_that_is_not_finite_is_refused_and_moves_nothing(self, robot: SimulatedRobot) -> None:
        robot.reset()
        for bad in (np.nan, np.inf, -np.inf):
            wrong = np.full(len(robot.info.channels), bad, np.float32)
            assert 'finite' in refusal(robot.step, wrong)
        untouched = make(robot.info.name, SimulatorSettings(seed=SEED))
        untouched.reset()
        action = actions(robot, 1)[0]
        assert digest([robot.step(action)]) == digest([untouched.step(action)])
        untouched.close()

    def test_a_wrong_number_of_values_is_refused(self, robot: SimulatedRobot) -> None:
        robot.reset()
        assert 'values' in refusal(robot.step, np.zeros(len(robot.info.channels) + 1, np.float32))

    def test_acting_before_the_first_reset_is_refused(self, robot: SimulatedRobot) -> None:
        assert 'reset' in refusal(robot.step, robot.info.zero())

    def test_limits_hold_for_any_finite_action(self, robot: SimulatedRobot) -> None:
        robot.reset()
        for size in (1e3, -1e3, 1e30):
            step = robot.step(np.full(len(robot.info.channels), size, np.float32))
            assert np.isfinite(step.applied).all()
            assert (step.applied >= robot.info.low - 1e-5).all() and (step.applied <= robot.info.high + 1e-5).all()
            low, high = np.array(robot.info.joint_low), np.array(robot.info.joint_high)
            assert (step.joints >= low - 1e-9).all() and (step.joints <= high + 1e-9).all()

    def test_two_robots_of_the_same_settings_give_the_same_bytes(self, robot: SimulatedRobot) -> None:
        twin = make(robot.info.name, SimulatorSettings(seed=SEED))
        assert digest(steps(robot, 40)) == digest(steps(twin, 40))
        twin.close()

    def test_another_seed_gives_other_bytes(self, robot: SimulatedRobot) -> None:
        other = make(robot.info.name, SimulatorSettings(seed=SEED + 1))
        assert digest(steps(robot, 5)) != digest(steps(other, 5))
        other.close()

    def test_with_a_delay_each_observation_of_an_episode_is_that_of_some_steps_before(
        self, robot: SimulatedRobot
    ) -> None:
        late = make(robot.info.name, SimulatorSettings(seed=SEED, delay_steps=DELAY))
        begins, prompt = 0, steps(robot, 40)
        for number, (step, now) in enumerate(zip(steps(late, 40), prompt, strict=True)):
            if number and (prompt[number - 1].terminal or prompt[number - 1].truncated):
                begins = number
            expected = prompt[max(number - DELAY, begins)]
            delayed = replace(now, image=expected.image, observations=expected.observations)
            assert digest([step]) == digest([delayed])
        late.close()
