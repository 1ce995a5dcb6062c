"""Limits, refusals, the stop latch and the guard."""

import math
import threading

from hypothesis import given, strategies
import pytest

from cls_common.driver.safety import (
    check_age,
    check_values,
    Code,
    DriverState,
    Guard,
    StopLatch,
    StoppedError,
)
from cls_common.errors import UserError
from cls_interfaces.msg import AppliedAction, RobotState
from cls_servo_driver.safety import MotionLimits, next_angles, PositionBounds

LIMITS = MotionLimits()
ANY = strategies.floats(allow_nan=False, allow_infinity=False, width=32)
BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(
    ('current', 'delta', 'expected'),
    [
        ((0.0, 0.0), (5.0, -5.0), (5.0, -5.0)),
        ((0.0, 0.0), (25.0, -25.0), (10.0, -10.0)),
        ((85.0, -38.0), (10.0, -10.0), (90.0, -40.0)),
        ((90.0, 40.0), (10.0, 10.0), (90.0, 40.0)),
        ((1.11, 2.22), (0.333, 0.0), (1.44, 2.22)),
        ((0.0, 80.0), (0.0, 5.0), (0.0, 70.0)),
        ((0.0, -80.0), (0.0, 0.0), (0.0, -70.0)),
    ],
)
def test_a_move_ends_within_the_limits(current, delta, expected):
    assert next_angles(LIMITS, current, PositionBounds.at(current), delta, 1.0) == expected


@given(ANY, ANY, strategies.floats(-90, 90), strategies.floats(-40, 40), strategies.floats(0, 100))
def test_no_move_leaves_the_limits_or_goes_too_far(pan_delta, tilt_delta, pan, tilt, elapsed):
    pan, tilt = round(pan, 2), round(tilt, 2)
    at = pan, tilt
    after = next_angles(LIMITS, at, PositionBounds.at(at), (pan_delta, tilt_delta), elapsed)
    assert -90 <= after[0] <= 90
    assert -40 <= after[1] <= 40
    assert abs(after[0] - pan) <= 10.0001
    assert abs(after[1] - tilt) <= 10.0001


@given(
    strategies.lists(strategies.tuples(strategies.floats(-90, 90), strategies.floats(-90, 90)), min_size=1, max_size=4),
    ANY,
    ANY,
    strategies.floats(0.1, 90),
    strategies.floats(0, 500),
    strategies.floats(0, 10),
)
def test_a_move_is_within_one_step_of_all_possible_positions(places, pan, tilt, step, rate, elapsed):
    bounds = PositionBounds.at(places[0])
    for place in places[1:]:
        bounds = bounds.including(place)
    limits = MotionLimits(max_delta=step, rate=rate)
    if not bounds.is_within(step):
        with pytest.raises(UserError, match='known position'):
            next_angles(limits, places[0], bounds, (pan, tilt), elapsed)
        return
    after = next_angles(limits, places[0], bounds, (pan, tilt), elapsed)
    assert max(abs(a - b) for place in places for a, b in zip(place, after)) <= step + 0.011


def test_a_position_jump_is_a_fault_until_rearm():
    guard = Guard('no angles yet')
    guard.position_jumped('at 0, was at 40')
    guard.linked()
    assert (guard.state, guard.reason.code) == (DriverState.FAULT, Code.POSITION_UNKNOWN)
    assert (guard.needs_rearm, guard.knows_position, guard.off_confirmed) == (True, False, False)
    assert guard.refuse().code is Code.NOT_READY
    guard.lost('gone')
    guard.linked()
    assert guard.state is DriverState.FAULT, 'a link that comes back is no rearm'
    guard.latch.engage(lambda: None)
    assert 'at 0, was at 40' in guard.reason.text
    guard.rearm()
    assert (guard.state, guard.needs_rearm, guard.knows_position) == (DriverState.READY, False, True)


@given(ANY, strategies.floats(0.1, 500), strategies.floats(0, 10))
def test_the_mean_speed_stays_below_the_rate(delta, rate, elapsed):
    limits = MotionLimits(rate=rate)
    after = next_angles(limits, (0.0, 0.0), PositionBounds.at((0.0, 0.0)), (delta, -delta), elapsed)
    assert max(map(abs, after)) <= rate * elapsed + 0.0051


@pytest.mark.parametrize('bad', BAD)
def test_non_finite_numbers_never_become_a_target(bad):
    for current, delta in (((0.0, 0.0), (bad, 0.0)), ((0.0, bad), (0.0, 0.0))):
        with pytest.raises(UserError, match='finite'):
            next_angles(LIMITS, current, PositionBounds.at(current), delta, 1.0)


@pytest.mark.parametrize(
    ('values', 'code'),
    [((0.0, bad), Code.NON_FINITE) for bad in BAD]
    + [((), Code.WRONG_LENGTH), ((1.0,), Code.WRONG_LENGTH), ((1.0, 2.0, 3.0), Code.WRONG_LENGTH)],
)
def test_invalid_values_are_refused_with_their_code(values, code):
    refusal = check_values(values, ('pan', 'tilt'))
    assert refusal is not None
    assert refusal.code is code


def test_two_finite_values_are_an_action():
    assert check_values((1e9, -3.0), ('pan', 'tilt')) is None


@pytest.mark.parametrize(
    ('age', 'is_refused'), [(0.0, False), (1.0, False), (1.01, True), (-0.9, False), (-1.01, True)]
)
def test_old_actions_and_those_from_the_future_are_refused(age, is_refused):
    refusal = check_age(age, 1.0)
    assert (refusal is not None) == is_refused
    assert refusal is None or refusal.code is Code.TOO_OLD


def test_codes_and_states_equal_those_of_the_messages():
    for state in DriverState:
        assert getattr(RobotState, state.name) == state
    for code, name in (
        (Code.STATE_LINK_LOST, 'LINK_LOST'),
        (Code.POSITION_UNKNOWN, 'POSITION_UNKNOWN'),
        (Code.COMMAND_TOO_OLD, 'COMMAND_TOO_OLD'),
        (Code.EMERGENCY_STOP, 'EMERGENCY_STOP'),
    ):
        assert getattr(RobotState, name) == code
    for code in (Code.NON_FINITE, Code.WRONG_LENGTH, Code.NOT_READY, Code.TOO_OLD, Code.LINK_LOST):
        assert getattr(AppliedAction, code.name) == code


def test_the_latch_blocks_commands_until_released():
    latch, sent = StopLatch(), []
    latch.send(lambda: sent.append('move'))
    latch.engage(lambda: sent.append('stop'))
    with pytest.raises(StoppedError):
        latch.send(lambda: sent.append('move'))
    latch.release()
    latch.send(lambda: sent.append('move'))
    assert sent == ['move', 'stop', 'move']


def test_the_latch_is_engaged_even_if_the_stop_could_not_be_sent():
    latch = StopLatch()
    with pytest.raises(OSError, match='unplugged'):
        latch.engage(lambda: (_ for _ in ()).throw(OSError('unplugged')))
    assert latch.is_engaged


def test_no_command_of_another_thread_is_sent_after_the_stop():
    for _ in range(50):
        latch, sent, begin = StopLatch(), [], threading.Barrier(2)

        def command(latch=latch, sent=sent, begin=begin):
            begin.wait()
            try:
                while True:
                    latch.send(lambda: sent.append('move'))
            except StoppedError:
                pass

        thread = threading.Thread(target=command)
        thread.start()
        begin.wait()
        latch.engage(lambda sent=sent: sent.append('stop'))
        thread.join()
        assert sent[-1] == 'stop'


def test_a_guard_starts_and_ends_without_motion():
    guard = Guard('no angles yet')
    assert (guard.state, guard.reason.code) == (DriverState.FAULT, Code.POSITION_UNKNOWN)
    assert guard.refuse().code is Code.NOT_READY
    guard.linked()
    assert (guard.state, guard.refuse()) == (DriverState.READY, None)
    guard.moving()
    assert (guard.state, guard.torque) == (DriverState.MOVING, True)
    guard.moved()
    guard.lost('gone')
    assert (guard.state, guard.reason.code, guard.torque) == (DriverState.FAULT, Code.STATE_LINK_LOST, None)


def test_the_emergency_stop_remains_after_a_lost_and_found_link():
    guard = Guard('no angles yet')
    guard.linked()
    guard.latch.engage(lambda: None)
    guard.lost('gone')
    assert guard.state is DriverState.STOPPED
    assert 'gone' in guard.reason.text
    guard.linked()
    assert (guard.state, guard.reason.code) == (DriverState.STOPPED, Code.EMERGENCY_STOP)
    assert guard.refuse().code is Code.NOT_READY
    guard.latch.release()
    assert guard.state is DriverState.READY


def test_idle_torque_off_is_reported_and_ended_by_the_next_move():
    guard = Guard('no angles yet')
    guard.linked()
    guard.torque_off('idle')
    assert (guard.state, guard.reason.code, guard.torque) == (DriverState.READY, Code.COMMAND_TOO_OLD, False)
    guard.moving()
    guard.moved()
    assert (guard.reason.code, guard.torque) == (Code.NONE, True)


def test_a_confirmed_stop_is_not_confirmed_any_more_once_something_moved():
    guard = Guard('no angles yet')
    guard.linked()
    guard.torque_off()
    assert guard.off_confirmed
    guard.moving()
    assert not guard.off_confirmed
