"""Actions scale between [-1, 1] and a robot's units, and no bad number or length gets through."""

from dataclasses import replace
import json
import math
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, check_action, from_message, from_plain, Kind, RobotInfo, to_plain


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


PAN, GRIP = Channel('pan', Kind.RELATIVE, 'deg', -10, 10.5), Channel('grip', Kind.DISCRETE, '', 0, 1)
ARM = RobotInfo('arm', ('camera', 'force'), (PAN, GRIP), ('pan',), (-1.5,), (1.25,), settle_time=0.1, lock_step=True)
# As config.json of a model has it; its hash is the model's.
ARM_JSON = (
    '{"name": "arm", "modalities": ["camera", "force"], "channels": ['
    '{"name": "pan", "kind": "RELATIVE", "unit": "deg", "low": -10, "high": 10.5}, '
    '{"name": "grip", "kind": "DISCRETE", "unit": "", "low": 0, "high": 1}], '
    '"joint_names": ["pan"], "joint_low": [-1.5], "joint_high": [1.25], "settle_time": 0.1, "lock_step": true}'
)


def test_plain_data_is_what_models_have_stored_and_reads_back() -> None:
    assert json.dumps(to_plain(ARM)) == ARM_JSON
    assert from_plain(json.loads(ARM_JSON)) == ARM
    assert json.dumps(to_plain(from_plain(json.loads(ARM_JSON)))) == ARM_JSON


def test_plain_data_names_the_reward_of_a_robot_that_gives_one() -> None:
    rewarded = replace(ARM, has_reward=True)
    plain = json.loads(json.dumps(to_plain(rewarded)))
    assert plain == {**json.loads(ARM_JSON), 'has_reward': True}
    assert from_plain(plain) == rewarded


def test_channels_without_field_names_are_read() -> None:
    channels = [['pan', 0, 'deg', -10, 10.5], ['grip', 3, '', 0, 1]]
    assert from_plain({**json.loads(ARM_JSON), 'channels': channels}) == ARM


def test_a_message_is_read_by_its_fields() -> None:
    channels = [SimpleNamespace(name='pan', kind=0, unit='deg', low=np.float32(-10), high=np.float32(10.5))]
    message = SimpleNamespace(
        name='arm', modalities=['camera'], channels=channels, joint_names=['pan'], joint_low=np.array([-1.5]),
        joint_high=np.array([1.25]), settle_time=0.1, lock_step=False,
    )  # fmt: skip
    arm = RobotInfo('arm', ('camera',), (PAN,), ('pan',), (-1.5,), (1.25,), settle_time=0.1)
    assert from_message(message) == arm, 'as bags of older versions have it, without has_reward'
    message.has_reward = True
    assert from_message(message) == replace(arm, has_reward=True)


@pytest.mark.parametrize('kind', ['SIDEWAYS', 7, None])
def test_an_unknown_kind_of_channel_is_refused_by_name(kind: object) -> None:
    content = {'name': 'arm', 'modalities': [], 'channels': [{'name': 'pan', 'kind': kind}]}
    with pytest.raises(UserError, match=r"channel 'pan' of 'arm'; expected a kind of \[0, 1, 2, 3\]; found"):
        from_plain(content)


@pytest.mark.parametrize('content', [[], 'arm', {'name': 'arm'}, {**json.loads(ARM_JSON), 'weight': 3}])
def test_another_thing_than_a_robot_is_a_type_or_key_error(content: object) -> None:
    with pytest.raises((TypeError, KeyError, ValueError)):
        from_plain(content)  # type: ignore[arg-type]
