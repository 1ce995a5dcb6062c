"""Actions scale between [-1, 1] and a robot's units, and no bad number or length gets through."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, check_action, Kind, RobotInfo


def robot(*limits: tuple[float, float], kind: Kind = Kind.RELATIVE) -> RobotInfo:
    channels = tuple(Channel(f'c{i}', kind, 'deg', low, high) for i, (low, high) in enumerate(limits))
    return RobotInfo('some', ('camera',), channels)


LIMIT = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
LIMITS = st.lists(st.tuples(LIMIT, LIMIT).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=4)
UNIT = st.floats(-1, 1, width=32)


@given(LIMITS, st.data())
def test_units_stay_within_limits(limits: list[tuple[float, float]], data: st.DataObject) -> None:
    info = robot(*limits)
    anything = st.floats(width=32, allow_nan=False)
    unit = data.draw(st.lists(anything, min_size=len(limits), max_size=len(limits)))
    values = info.to_units(unit)
    assert values.dtype == np.float32
    assert values.shape == (len(limits),)
    assert (values >= info.low).all()
    assert (values <= info.high).all()


@given(LIMITS, st.data())
def test_round_trip_from_unit_and_back(limits: list[tuple[float, float]], data: st.DataObject) -> None:
    info = robot(*limits)
    unit = np.array(data.draw(st.lists(UNIT, min_size=len(limits), max_size=len(limits))), np.float32)
    back = info.to_unit(info.to_units(unit))
    width = info.high.astype(np.float64) - info.low
    largest = np.maximum(np.abs(info.low), np.abs(info.high))
    # float32 keeps a value to 6e-8 of the largest limit, which is this much of the channel's width.
    tolerance = 4e-7 * (1 + largest / np.where(width > 0, width, 1))
    assert (np.abs(back - np.where(width > 0, unit, 0)) <= tolerance).all()


def test_golden_values_of_pan_tilt() -> None:
    info = robot((-10, 10), (-10, 10))
    np.testing.assert_array_equal(info.to_units([0.5, -1.0]), np.float32([5, -10]))
    np.testing.assert_array_equal(info.to_units([7.0, -np.inf]), np.float32([10, -10]))
    np.testing.assert_array_equal(info.to_unit([[10, 0], [-5, 20]]), np.float32([[1, 0], [-0.5, 2]]))


def test_rounding_does_not_exceed_the_upper_limit() -> None:
    info = robot((-0.1, 0.3), (-3e38, 3e38))
    np.testing.assert_array_equal(info.to_units([1, 1]), info.high)
    np.testing.assert_array_equal(info.to_units([-1, -1]), info.low)


@given(st.integers(-50, 50), st.integers(0, 20), UNIT)
def test_discrete_channels_give_every_whole_number(low: int, count: int, unit: float) -> None:
    info = robot((low, low + count), kind=Kind.DISCRETE)
    value = float(info.to_units([unit])[0])
    assert value.is_integer()
    assert low <= value <= low + count
    for choice in range(low, low + count + 1):
        assert info.to_units(info.to_unit([choice]))[0] == choice


def test_a_channel_of_no_width_gives_its_value_and_zero() -> None:
    info = robot((2, 2))
    assert info.to_units([-0.7]) == [2]
    assert info.to_unit([2.0]) == [0]


def test_nan_stays_nan_and_is_refused_at_the_border() -> None:
    info = robot((-1, 1), (0, 3))
    scaled = info.to_units([np.nan, 0])
    assert math.isnan(scaled[0])
    with pytest.raises(UserError, match='finite'):
        check_action(info, scaled)


def test_zero_is_the_nearest_to_doing_nothing() -> None:
    np.testing.assert_array_equal(robot((-1, 1), (2, 3), (-5, -4)).zero(), np.float32([0, 2, -4]))


def test_joints_scale_by_their_limits_and_fixed_ones_give_zero() -> None:
    info = RobotInfo('some', (), (), ('pan', 'fixed'), (-1.5, 0.3), (1.5, 0.3))
    scaled = info.joints_to_unit([[1.5, 0.3], [0.0, 0.3]])
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, np.float32([[1, 0], [0, 0]]))
    assert RobotInfo('none', (), ()).joints_to_unit([]).shape == (0,)


@pytest.mark.parametrize(
    ('low', 'high'), [(1, 0), (math.nan, 1), (0, math.nan), (-math.inf, 1), (0, math.inf), (0, 1e39)]
)
def test_channels_without_usable_limits_are_refused(low: float, high: float) -> None:
    with pytest.raises(UserError, match='pan'):
        Channel('pan', Kind.ABSOLUTE, 'rad', low, high)


def test_a_discrete_channel_needs_whole_limits() -> None:
    with pytest.raises(UserError, match='whole'):
        Channel('key', Kind.DISCRETE, '', 0.5, 3)


@pytest.mark.parametrize(
    'joints',
    [
        (('pan',), (), (1.0,)),
        (('pan',), (-1.0,), (1.0, 2.0)),
        (('pan',), (1.0,), (-1.0,)),
        (('pan',), (-math.inf,), (math.inf,)),
        (('pan',), (math.nan,), (1.0,)),
    ],
)
def test_joints_without_usable_limits_are_refused(joints: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(UserError):
        RobotInfo('some', (), (), *joints)


@pytest.mark.parametrize('settle_time', [-0.1, math.nan, math.inf])
def test_settle_time_is_a_time(settle_time: float) -> None:
    with pytest.raises(UserError, match='settle_time'):
        RobotInfo('some', (), (), settle_time=settle_time)


@pytest.mark.parametrize(
    'values', [[], [1.0], [1.0, 2.0, 3.0], [np.nan, 0.0], [0.0, np.inf], [-np.inf, 0.0], [1e300, 0.0]]
)
def test_bad_actions_never_pass(values: list[float]) -> None:
    with pytest.raises(UserError, match='some'):
        check_action(robot((-10, 10), (-10, 10)), values)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_good_actions_pass_unchanged(values: list[float]) -> None:
    action = check_action(robot((-10, 10), (-10, 10)), values)
    assert action.dtype == np.float32
    np.testing.assert_array_equal(action, np.float32(values))
