"""Lines of the servo link, requests and replies."""

from hypothesis import given, strategies
import pytest

from cls_servo_driver import protocol
from cls_servo_driver.protocol import MoveConfirmation, PositionSample, Refused, Reply, Stopped, TimeoutSet

ANGLES = strategies.floats(-90, 90)


@pytest.mark.parametrize(
    ('request_line', 'expected'),
    [
        (protocol.move_both((5.0, -2.5)), b'servos 5.00 -2.50\n'),
        (protocol.move_both((1 / 3, -89.999)), b'servos 0.33 -90.00\n'),
        (protocol.move_one(1, 7), b'servo1 7.00\n'),
        (protocol.move_one(2, -7.125), b'servo2 -7.12\n'),
        (protocol.move_same(90), b'both 90.00\n'),
        (protocol.set_timeout(1), b'timeout 1.00\n'),
        (protocol.ASK_ANGLES, b'angles\n'),
        (protocol.STOP, b'stop\n'),
    ],
)
def test_requests_are_lines_with_two_decimals(request_line, expected):
    assert request_line == expected


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('S1:5.0 S2:-2.5', MoveConfirmation((5.0, -2.5))),
        ('S1:90 S2:-90', MoveConfirmation((90.0, -90.0))),
        ('S1:5.0', MoveConfirmation((5.0, None))),
        ('S2:-40.0', MoveConfirmation((None, -40.0))),
        ('Both:3.25', MoveConfirmation((3.25, 3.25))),
        ('0.0,0.0', PositionSample((0.0, 0.0))),
        ('-12.34,1e-05\r', PositionSample((-12.34, 1e-05))),
        ('Stopped', Stopped()),
        ('Timeout:1.5', TimeoutSet(1.5)),
        ('Unknown command', Refused('Unknown command')),
        ('Error', Refused('Error')),
        ('Input error: not a finite number', Refused('Input error: not a finite number')),
        ('Stable Servo Control Ready', None),
        ('S1: servo output 1, S2: servo output 3', None),
        ('nan,nan', None),
        ('inf,0.0', None),
        ('S1:nan S2:0.0', None),
        ('1.0,2.0,3.0', None),
        ('', None),
        ('-40.0,3', None),
        ('-40.0,0', None),
        ('-40.0,35.', None),
        (' 40.0,35.0', None),
        ('140.0,35.0', None),
        ('+40.0,35.0', None),
    ],
)
def test_replies_are_parsed_and_noise_is_not(line, expected):
    assert protocol.parse(line) == expected


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), float('-inf')])
def test_requests_with_non_finite_numbers_are_refused(bad):
    for encode in (
        lambda: protocol.move_both((0.0, bad)),
        lambda: protocol.move_one(1, bad),
        lambda: protocol.move_same(bad),
        lambda: protocol.set_timeout(bad),
    ):
        with pytest.raises(ValueError, match='finite'):
            encode()


def test_there_are_two_servos():
    with pytest.raises(ValueError, match='1 or 2'):
        protocol.move_one(3, 0.0)


@given(ANGLES, ANGLES)
def test_an_acknowledged_move_comes_back_within_a_hundredth(pan, tilt):
    _, first, second = protocol.move_both((pan, tilt)).decode().split()
    reply = protocol.parse(f'S1:{float(first)} S2:{float(second)}')
    assert isinstance(reply, MoveConfirmation)
    assert reply.angles == pytest.approx((pan, tilt), abs=0.0051)


@given(ANGLES, ANGLES)
def test_every_float_that_the_board_prints_is_read(pan, tilt):
    assert protocol.parse(f'{pan},{tilt}') == PositionSample((pan, tilt))


def test_a_check_is_removed_only_with_the_matching_tag():
    line = protocol.add_check('-40.0,0.0', '1f')
    assert protocol.remove_check(line, '1f') == '-40.0,0.0'
    assert protocol.remove_check(line, '1e') is None
    for cut in range(1, len(line)):
        assert protocol.remove_check(line[cut:], '1f') is None
        assert protocol.remove_check(line[:cut], '1f') is None
        assert protocol.remove_check(line[:cut] + '4' + line[cut:], '1f') is None
    assert protocol.remove_check('-40.0,0.0', '1f') is None
    assert protocol.remove_check('\ufffd#1f*0000', '1f') is None


@given(strategies.text(max_size=300))
def test_no_line_makes_the_parser_fail(line):
    assert isinstance(protocol.parse(line), Reply | None)
