"""Motor values, the course of an action, and which hosts may be connected to."""

import math

from hypothesis import given, strategies
import pytest

from cls_common.errors import UserError
from cls_jetbot_driver.hosts import find_address, LOOPBACK
from cls_jetbot_driver.motion import action_table, check_motors, course, Motors, RAMP, STILL, to_index
from cls_jetbot_driver.settings import JetBotDriverSettings

VALUES = strategies.floats(0.0, 1.0)
DURATIONS = strategies.floats(RAMP, 2.0)


def test_the_default_actions_are_still_and_a_turn_by_the_right_motor() -> None:
    settings = JetBotDriverSettings()
    assert settings.actions() == (Motors(0.0, 0.0), Motors(0.0, 0.12))
    assert settings.duration == 0.2


def test_the_ramp_is_linear_in_four_steps_of_15_ms_up_and_down() -> None:
    points = course(Motors(0.0, 0.12), 0.2)
    assert [round(p.time, 6) for p in points] == [0.0, 0.015, 0.03, 0.045, 0.2, 0.215, 0.23, 0.245]
    assert [round(p.motors.right, 6) for p in points] == [0.03, 0.06, 0.09, 0.12, 0.09, 0.06, 0.03, 0.0]
    assert {p.motors.left for p in points} == {0.0}


@given(VALUES, VALUES, DURATIONS)
def test_every_course_stays_within_its_motors_and_ends_at_zero(left: float, right: float, duration: float) -> None:
    points = course(Motors(left, right), duration)
    assert points[-1].motors == STILL
    assert all(0.0 <= p.motors.left <= left and 0.0 <= p.motors.right <= right for p in points)
    times = [p.time for p in points]
    assert times == sorted(times)
    assert times[-1] <= duration + RAMP
    # The full value holds from the end of the ramp until the ramp down.
    assert points[3].motors == Motors(left, right)
    assert points[4].time == duration


@pytest.mark.parametrize('value', [-0.01, -math.inf, math.nan, math.inf, 0.31])
@pytest.mark.parametrize('is_left', [True, False])
def test_backward_too_fast_and_non_finite_motors_are_refused(value: float, is_left: bool) -> None:
    with pytest.raises(UserError, match='no backward motion'):
        check_motors(Motors(value, 0.0) if is_left else Motors(0.0, value), 0.3)


@pytest.mark.parametrize('duration', [0.0, 0.05, math.nan, math.inf, -1.0])
def test_an_action_is_at_least_as_long_as_its_ramp(duration: float) -> None:
    with pytest.raises(UserError, match='ramp'):
        course(STILL, duration)


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'motor_right': '0 -0.12'}, 'no backward motion'),
        ({'motor_right': '0.5'}, '0.3'),
        ({'motor_left': ''}, 'at least one value'),
        ({'motor_left': 'fast'}, 'numbers'),
        ({'motor_left': 'nan'}, 'no backward motion'),
        ({'duration': 0.01}, '0.06'),
    ],
)
def test_settings_that_could_not_be_driven_are_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        JetBotDriverSettings.from_flat(values)


def test_actions_are_all_combinations_with_the_right_motor_first() -> None:
    assert action_table((0.0, 0.1), (0.0, 0.2), 1.0) == (
        Motors(0.0, 0.0), Motors(0.0, 0.2), Motors(0.1, 0.0), Motors(0.1, 0.2),
    )  # fmt: skip


@given(strategies.floats(allow_nan=False, allow_infinity=False), strategies.integers(1, 9))
def test_every_finite_value_names_an_action(value: float, count: int) -> None:
    assert 0 <= to_index(value, count) < count


@pytest.mark.parametrize(('value', 'index'), [(0.0, 0), (0.49, 0), (0.5, 1), (1.0, 1), (7.0, 1), (-3.0, 0)])
def test_values_are_rounded_as_those_of_a_discrete_channel(value: float, index: int) -> None:
    assert to_index(value, 2) == index


def test_only_this_machine_is_allowed_by_default() -> None:
    assert find_address('127.0.0.1', 18861, LOOPBACK.split()) == ('127.0.0.1', 18861)
    assert JetBotDriverSettings().address() == ('127.0.0.1', 18861)
    for host in ('192.168.1.7', '0.0.0.0', '10.0.0.1', 'localhost.example', ''):
        with pytest.raises(UserError, match='allowed_hosts'):
            JetBotDriverSettings(host=host).address()


def test_listed_addresses_and_networks_are_allowed() -> None:
    assert find_address('192.0.2.7', 1, ['192.0.2.7']) == ('192.0.2.7', 1)
    assert find_address('192.0.2.7', 1, ['192.0.2.0/24']) == ('192.0.2.7', 1)
    with pytest.raises(UserError, match='allowed_hosts'):
        find_address('192.0.3.7', 1, ['192.0.2.0/24'])
