"""Messages and plain types, both ways, with nothing lost and nothing impossible let in."""

import array

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from cls_common.errors import UserError
from cls_common.nodes import conversions
from cls_common.robot import Channel, Kind, RobotInfo
from cls_interfaces.msg import ActionChannel, Embedding
from cls_interfaces.msg import RobotInfo as RobotInfoMessage
from cls_interfaces.srv import GetState

PAN_TILT = RobotInfo(
    'pan_tilt',
    ('camera', 'touch'),
    (Channel('pan', Kind.RELATIVE, 'deg', -10, 10), Channel('key', Kind.DISCRETE, '', 0, 3)),
    ('pan', 'tilt'),
    (-1.5, -0.75),
    (1.5, 0.75),
    settle_time=0.125,
    lock_step=True,
    has_reward=True,
)


@given(st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9 + 999_999_999))
def test_stamps_keep_every_nanosecond(nanoseconds: int) -> None:
    stamp = conversions.to_time(nanoseconds)
    assert 0 <= stamp.nanosec < 10**9
    assert conversions.to_nanoseconds(stamp) == nanoseconds


@given(st.lists(st.floats(width=32)))
def test_floats_cross_the_wire_bit_by_bit(values: list[float]) -> None:
    expected = np.array(values, np.float32)
    message = Embedding(data=conversions.to_floats(expected))
    received = deserialize_message(serialize_message(message), Embedding)
    np.testing.assert_array_equal(conversions.to_array(received.data), expected)


def test_bytes_cross_the_wire() -> None:
    blob = bytes(range(256)) * 100
    response = GetState.Response(state=conversions.to_bytes(blob))
    received = deserialize_message(serialize_message(response), GetState.Response)
    assert bytes(received.state) == blob


def test_arrays_are_read_without_a_copy_where_the_type_fits() -> None:
    field = array.array('f', [1, 2, 3])
    assert np.shares_memory(conversions.to_array(field), np.frombuffer(field, np.float32))
    assert conversions.to_array(array.array('d', [1.5])).dtype == np.float32
    assert conversions.to_floats(np.arange(6.0)[::2], 'd').tolist() == [0, 2, 4]


def test_a_robot_crosses_the_wire() -> None:
    message = conversions.to_robot_info(PAN_TILT, conversions.to_time(7))
    received = deserialize_message(serialize_message(message), RobotInfoMessage)
    assert conversions.to_nanoseconds(received.header.stamp) == 7
    info = conversions.from_robot_info(received)
    assert info == PAN_TILT
    np.testing.assert_array_equal(info.low, PAN_TILT.low)


def test_kinds_equal_the_constants_of_the_message() -> None:
    for kind in Kind:
        assert getattr(ActionChannel, kind.name) == kind


@pytest.mark.parametrize(
    'change',
    [
        {'channels': [ActionChannel(name='pan', kind=9, low=-1.0, high=1.0)]},
        {'channels': [ActionChannel(name='pan', kind=0, low=1.0, high=-1.0)]},
        {'channels': [ActionChannel(name='pan', kind=0, low=float('nan'), high=1.0)]},
        {'channels': [ActionChannel(name='key', kind=3, low=0.5, high=1.0)]},
        {'joint_names': ['pan']},
        {'settle_time': float('nan')},
    ],
)
def test_a_robot_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UserError):
        conversions.from_robot_info(RobotInfoMessage(name='odd', **change))
