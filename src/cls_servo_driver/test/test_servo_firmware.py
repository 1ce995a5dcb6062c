"""The board's own program, tested by bytes over a pseudo-terminal."""

import time

import pytest
import serial

from cls_servo_driver.fake_servo_board import FakeServoBoard
from cls_servo_driver.protocol import add_check, remove_check


class Terminal:
    """A host that sends and receives lines."""

    def __init__(self, port):
        self.serial = serial.Serial(port, 115200, timeout=2.0, exclusive=True)

    def ask(self, line):
        self.serial.write(line.encode('latin-1') + b'\n')
        return self.read()

    def read(self):
        line = self.serial.readline()
        assert line.endswith(b'\n'), 'no whole line within 2 s'
        return line.decode('ascii').strip()


@pytest.fixture
def board():
    with FakeServoBoard() as fake:
        yield fake


@pytest.fixture
def host(board):
    terminal = Terminal(board.port)
    yield terminal
    terminal.serial.close()


def test_the_banner_has_three_lines_and_nothing_is_on(board, host):
    board.reset()
    banner = [host.read() for _ in range(3)]
    assert banner[0] == 'Stable Servo Control Ready'
    assert host.ask('angles') == '0.0,0.0'
    assert board.outputs.are_off


def test_a_reset_clears_the_angles_and_switches_the_outputs_off(board, host):
    host.ask('servos 5 6')
    board.reset()
    assert board.outputs.are_off
    host.serial.reset_input_buffer()
    assert host.ask('angles') == '0.0,0.0'


@pytest.mark.parametrize(
    ('line', 'reply', 'pan', 'tilt'),
    [
        ('servo1 12.5', 'S1:12.5', 12.5, None),
        ('servo2 -7', 'S2:-7.0', None, -7.0),
        ('both 3', 'Both:3.0', 3.0, 3.0),
        ('servos 5.00 -2.50', 'S1:5.0 S2:-2.5', 5.0, -2.5),
        ('servos 500 -91', 'S1:90.0 S2:-90.0', 90.0, -90.0),
        ('  servos   1   2  \r', 'S1:1.0 S2:2.0', 1.0, 2.0),
    ],
)
def test_moves_are_clamped_answered_and_carried_out(board, host, line, reply, pan, tilt):
    assert host.ask(line) == reply
    board.wait_for_outputs(pan, tilt)
    assert host.ask('angles') == f'{pan or 0.0},{tilt or 0.0}'


@pytest.mark.parametrize(
    ('line', 'reply'),
    [
        ('servos nan 0', 'Input error: not a finite number'),
        ('servos 0 inf', 'Input error: not a finite number'),
        ('servos -inf 0', 'Input error: not a finite number'),
        ('both nan', 'Input error: not a finite number'),
        ('servos 1', 'Input error: 2 numbers expected, 1 found'),
        ('servos 1 2 3', 'Input error: 2 numbers expected, 3 found'),
        ('timeout 0', 'Input error: timeout must be 0.1 to 60.0 seconds'),
        ('timeout nan', 'Input error: not a finite number'),
        ('hello', 'Unknown command'),
        ('SERVOS 1 2', 'Unknown command'),
        ('\xff\xfe\x00', 'Unknown command'),
        ('servos ' + '1' * 500, 'Unknown command'),
    ],
)
def test_invalid_lines_are_answered_and_move_nothing(board, host, line, reply):
    before = len(board.journal)
    assert host.ask(line) == reply
    assert host.ask('angles') == '0.0,0.0'
    assert len(board.journal) == before


def test_a_checked_request_is_answered_with_its_tag_and_a_sum(board, host):
    assert remove_check(host.ask(add_check('servos 5.00 -2.50', 'a1')), 'a1') == 'S1:5.0 S2:-2.5'
    board.wait_for_outputs(5.0, -2.5)
    assert remove_check(host.ask(add_check('angles', 'a2')), 'a2') == '5.0,-2.5'
    assert remove_check(host.ask(add_check('hello', 'a3')), 'a3') == 'Unknown command'
    assert remove_check(host.ask(add_check('', 'a4')), 'a4') == 'Unknown command'
    assert remove_check(host.ask(add_check('stop', 'a5')), 'a5') == 'Stopped'
    assert board.outputs.are_off


def test_a_damaged_checked_request_moves_nothing(board, host):
    whole = add_check('servos 5.00 -2.50', 'a1')
    for damaged in (whole.replace('-', ''), whole.replace('5.00', '55.00'), whole[:-1] + 'x'):
        assert host.ask(damaged) == 'Input error: wrong checksum'
    assert all(outputs.are_off for outputs in board.journal)


def test_a_truncated_checked_move_moves_nothing(board, host):
    host.ask(add_check('timeout 0.30', 'a1'))
    host.ask(add_check('servos -40.00 -40.00', 'a2'))
    moves = len(board.journal)
    assert host.ask(add_check('servos -40.00 -40.00', 'a3')[:16]) == 'Input error: checksum expected'
    assert len(board.journal) == moves
    assert host.ask('stop') == 'Stopped', 'which is always obeyed'
    board.wait_for_outputs(None, None)
    host.ask(add_check('servos -40.00 -40.00', 'a4'))
    # After the host is gone, another one may omit the checksum.
    board.wait_for_outputs(None, None)
    assert host.ask('servos 1 2') == 'S1:1.0 S2:2.0'


def test_a_queued_checked_stop_is_never_lost(board, host):
    lines = ['servos 5 5', add_check('stop', 'a1'), 'angles']
    host.serial.write('\n'.join(lines).encode() + b'\n')
    assert host.read() == 'S1:5.0 S2:5.0'
    assert remove_check(host.read(), 'a1') == 'Stopped'
    board.wait_for_outputs(None, None)


def test_words_are_not_accepted_as_numbers(host):
    assert host.ask('servos one two').startswith('Input error: ')


def test_stop_switches_both_outputs_off_and_keeps_the_angles(board, host):
    host.ask('servos 5 6')
    assert host.ask('stop') == 'Stopped'
    assert board.outputs.are_off
    assert host.ask('angles') == '5.0,6.0'
    host.ask('servo1 7')
    board.wait_for_outputs(7.0, None)


def test_refused_moves_answer_error_and_keep_the_angles(board, host):
    host.ask('servos 5 6')
    board.break_servos()
    assert host.ask('servos 10 10') == 'Error'
    assert host.ask('angles') == '5.0,6.0'


def test_only_the_newest_queued_move_is_carried_out(board, host):
    lines = ['angles'] + [f'servos {i} {-i}' for i in range(1, 9)]
    host.serial.write('\n'.join(lines).encode() + b'\n')
    assert host.read() == '0.0,0.0'
    assert host.read() == 'S1:8.0 S2:-8.0'
    assert [(o.pan, o.tilt) for o in board.journal if not o.are_off] == [(8.0, -8.0)]


def test_a_queue_that_ends_in_no_move_moves_nothing(board, host):
    host.serial.write(b'angles\nservos 5 5\nhello\n')
    assert host.read() == '0.0,0.0'
    assert host.ask('angles') == '0.0,0.0'
    assert all(outputs.are_off for outputs in board.journal)


def test_a_queued_stop_is_never_lost(board, host):
    host.serial.write(b'servos 5 5\nstop\nangles\n')
    assert host.read() == 'S1:5.0 S2:5.0'
    assert host.read() == 'Stopped'
    board.wait_for_outputs(None, None)


def test_silence_switches_off_after_the_timeout_until_the_next_move(board, host):
    assert host.ask('timeout 0.3') == 'Timeout:0.3'
    host.ask('servos 5 6')
    start = time.monotonic()
    off = board.wait_for_outputs(None, None, timeout=2.0)
    assert 0.25 < off.time - start < 0.6
    assert host.ask('angles') == '5.0,6.0'
    assert board.outputs.are_off
    host.ask('servos 6 6')
    assert not board.outputs.are_off


def test_valid_lines_keep_the_outputs_on_and_noise_does_not(board, host):
    host.ask('timeout 0.4')
    host.ask('servos 5 6')
    for _ in range(10):
        host.ask('angles')
        host.serial.timeout = 0.1
        host.serial.read()
    assert not board.outputs.are_off
    host.serial.timeout = 2.0
    last_valid = time.monotonic()
    while not board.outputs.are_off and time.monotonic() - last_valid < 2.0:
        assert host.ask('hello') == 'Unknown command'
    assert board.outputs.time - last_valid < 0.7


def test_a_partial_line_does_not_delay_the_timeout(board, host):
    host.ask('timeout 0.2')
    host.ask('servos 5 6')
    host.serial.write(b'servos 80 8')
    board.wait_for_outputs(None, None, timeout=2.0)
    host.serial.write(b'0\n')
    assert host.read() == 'S1:80.0 S2:80.0'


def test_the_button_ends_the_program_with_outputs_off(board, host):
    host.ask('servos 5 6')
    board.press_button()
    board.wait_for_outputs(None, None)
    host.serial.timeout = 0.3
    host.serial.write(b'angles\n')
    assert host.serial.readline() == b''


def test_the_original_firmware_has_no_timeout():
    with FakeServoBoard(original=True) as fake:
        fake.drain_time = 0.15
        terminal = Terminal(fake.port)
        terminal.serial.timeout = 0.2
        terminal.serial.write(b'servos 5 6\n')
        assert terminal.read() == 'S1:5.0 S2:6.0'
        terminal.serial.write(b'angles\n')
        assert terminal.serial.readline() == b'', 'what follows a reply closely is dropped there'
        assert terminal.ask('timeout 1.00') == 'Unknown command'
        terminal.serial.timeout = 1.1
        assert terminal.serial.read() == b''
        assert (fake.outputs.pan, fake.outputs.tilt) == (5.0, 6.0)
        terminal.serial.close()
