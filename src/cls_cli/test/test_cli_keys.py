"""One signed mapping from keys to actions."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_cli import keys
from cls_common.robot import Channel, check_action, Kind, RobotInfo


def robot(*channels: Channel) -> RobotInfo:
    return RobotInfo('robot', ('camera',), channels)


PAN_TILT = robot(*(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt')))
TILT_PAN = robot(*(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('tilt', 'pan')))


@pytest.mark.parametrize('key, pan, tilt', [('w', 0, 5), ('s', 0, -5), ('a', 5, 0), ('d', -5, 0), (' ', 0, 0)])
def test_pan_tilt_keys_have_the_signs_of_the_entry_point(key, pan, tilt):
    np.testing.assert_array_equal(keys.action(key, PAN_TILT), [pan, tilt])
    np.testing.assert_array_equal(keys.action(key, TILT_PAN), [tilt, pan])


def test_the_step_is_chosen_and_clipped():
    np.testing.assert_array_equal(keys.action('w', PAN_TILT, 2.5), [0, 2.5])
    np.testing.assert_array_equal(keys.action('d', PAN_TILT, 45.0), [-10, 0])


def test_other_robots_are_pushed_by_a_quarter_of_the_range():
    arm = robot(Channel('shoulder', Kind.VELOCITY, 'rad/s', -2.0, 2.0), Channel('lift', Kind.ABSOLUTE, 'm', 1.0, 3.0))
    np.testing.assert_array_equal(keys.action('a', arm), [1.0, 1.0])
    np.testing.assert_array_equal(keys.action('d', arm), [-1.0, 1.0])
    np.testing.assert_array_equal(keys.action('w', arm), [0.0, 2.5])
    np.testing.assert_array_equal(keys.action('s', arm), [0.0, 1.5])


def test_discrete_channels_take_their_ends_and_absent_channels_nothing():
    cart = robot(Channel('push', Kind.DISCRETE, '', 0.0, 1.0))
    np.testing.assert_array_equal(keys.action('a', cart), [1.0])
    np.testing.assert_array_equal(keys.action('d', cart), [0.0])
    assert keys.action('w', cart) is None


@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(-50, 50), st.integers(0, 100)), min_size=1, max_size=4),
    st.sampled_from([*keys.DIRECTIONS, keys.ZERO]),
)
def test_every_action_is_one_the_robot_takes(channels, key):
    info = robot(*(Channel(f'c{i}', kind, '', low, low + width) for i, (kind, low, width) in enumerate(channels)))
    values = keys.action(key, info)
    if values is not None:
        check_action(info, values)
        assert (values >= info.low).all() and (values <= info.high).all()


def test_opposite_keys_push_opposite_ways():
    for one, other in (('w', 's'), ('a', 'd')):
        np.testing.assert_array_equal(keys.action(one, PAN_TILT), -keys.action(other, PAN_TILT))
