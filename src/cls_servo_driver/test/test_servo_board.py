"""Transport and board over a pseudo-terminal, with the real pyserial and the board's own program."""

import os
import threading
import time

import pytest
import serial

from cls_common.errors import UserError
from cls_servo_driver.board import Board, PositionError
from cls_servo_driver.fake_servo_board import FakeServoBoard
from cls_servo_driver.lines import Line
from cls_servo_driver.ports import choose_port, Port
from cls_servo_driver.safety import StopLatch, StoppedError
from cls_servo_driver.transport import LinkError, SerialTransport


def open_board(fake, latch=None, **kwargs):
    settings = {'open_wait': 0.05, 'reply_timeout': 0.2, 'timeout': 1.0} | kwargs
    return Board(SerialTransport(fake.port), latch or StopLatch(), **settings)


@pytest.fixture
def fake():
    with FakeServoBoard() as fake:
        yield fake


def test_the_angles_are_known_before_anything_moves(fake):
    with serial.Serial(fake.port, 115200, timeout=1.0) as before_us:
        before_us.write(b'servos 12.5 -7.25\n')
        before_us.readline()
    heard = len(fake.heard)
    board = open_board(fake)
    assert board.angles == (12.5, -7.25)
    asked = [line.partition('#')[0] for line in fake.heard[heard:]]
    assert asked == ['angles'] * 3 + ['timeout 1.00'], 'checks known, position twice, timeout'
    board.close()


def test_moves_are_acknowledged_and_done(fake):
    board = open_board(fake)
    assert board.move((10.0, -5.5)) == (10.0, -5.5)
    outputs = fake.wait_for_outputs(10.0, -5.5)
    assert outputs.time <= time.monotonic()
    board.check()
    board.stop()
    assert fake.outputs.are_off
    board.close()


def test_our_firmware_and_the_original_are_told_apart(fake):
    assert open_board(fake).has_timeout
    with FakeServoBoard(original=True) as original:
        original.drains_for = 0.15
        board = open_board(original)
        assert not board.has_timeout
        assert board.repeats > 0, 'the original drops what follows its reply closely, so this was asked again'
        board.move((1.0, 1.0))
        board.stop()
        assert original.outputs.are_off
        board.close()


def test_a_silent_board_is_an_error_that_says_what_to_do(fake):
    fake.is_silent = True
    with pytest.raises(UserError, match=r'does not answer.*silence.*firmware/servo2040/main\.py'):
        open_board(fake)
    fake.is_silent = False
    open_board(fake).close()


def test_a_board_that_says_garbage_moves_nothing(fake):
    fake.says_garbage = True
    with pytest.raises(UserError, match=r'does not answer.*#\?1,x'):
        open_board(fake)
    assert all(outputs.are_off for outputs in fake.journal)


def test_a_move_without_acknowledgement_is_no_move(fake):
    board = open_board(fake)
    fake.mute_after = 0
    with pytest.raises(LinkError, match='silence'):
        board.move((5.0, 5.0))
    assert board.angles == (0.0, 0.0)
    board.close()


def test_servos_that_refuse_are_an_error_at_once(fake):
    board = open_board(fake, reply_timeout=5.0)
    fake.break_servos()
    start = time.monotonic()
    with pytest.raises(LinkError, match='refused; found Error'):
        board.move((5.0, 5.0))
    assert time.monotonic() - start < 2.0
    board.close()


def test_a_board_that_started_anew_is_found_out(fake):
    board = open_board(fake)
    board.move((5.0, 5.0))
    fake.reset()
    with pytest.raises(PositionError, match='started anew'):
        board.check()
    board.close()


def test_a_board_that_starts_while_we_open_is_waited_for(fake):
    reset = threading.Thread(target=fake.reset)

    class Transport(SerialTransport):
        def listen(self, duration):
            if reset.ident is None:
                reset.start()
            return super().listen(duration)

    board = Board(Transport(fake.port), StopLatch(), open_wait=1.5, reply_timeout=0.5)
    reset.join()
    assert board.was_booting
    assert board.angles == (0.0, 0.0)
    board.close()


def test_a_lost_cable_is_an_error_of_every_request(fake):
    board = open_board(fake)
    fake.unplug()
    for request in (board.check, board.stop, board.send_stop, lambda: board.move((1.0, 1.0))):
        with pytest.raises(LinkError, match='is gone'):
            request()
    board.close()
    with pytest.raises(UserError, match='is not there'):
        open_board(fake)
    fake.plug()
    open_board(fake).close()


def test_an_engaged_latch_lets_no_move_out(fake):
    latch = StopLatch()
    board = open_board(fake, latch)
    board.move((5.0, 5.0))
    latch.engage(board.send_stop)
    with pytest.raises(StoppedError):
        board.move((6.0, 6.0))
    fake.wait_for_outputs(None, None, timeout=0.5)
    assert not any(line.startswith('servos 6.00 6.00') for line in fake.heard)
    latch.release()
    board.move((6.0, 6.0))
    board.close()


def test_a_port_is_opened_once(fake):
    board = open_board(fake)
    with pytest.raises(UserError, match='in use by another program'):
        SerialTransport(fake.port)
    board.close()
    SerialTransport(fake.port).close()


@pytest.mark.parametrize(
    ('port', 'problem'), [('/dev/ttyNONE7', 'is not there'), ('/dev/null', 'cannot be opened'), ('', 'is not there')]
)
def test_a_port_that_is_none_is_named_with_what_to_do(port, problem):
    with pytest.raises(UserError, match=problem) as error:
        SerialTransport(port)
    assert '\n' not in str(error.value)
    assert repr(port) in str(error.value)


def test_lines_are_put_together_and_noise_without_end_is_bounded():
    master, slave = os.openpty()
    transport = SerialTransport(os.ttyname(slave))
    os.write(master, b'S1:1')
    assert transport.read_line(time.monotonic()) is None
    os.write(master, b'.0\r\n0.0,0.0\nx')
    deadline = time.monotonic() + 5
    assert transport.read_line(deadline) == Line('S1:1.0', is_whole=False)
    assert transport.read_line(deadline) == Line('0.0,0.0', is_whole=True)
    writer = threading.Thread(target=lambda: os.write(master, b'\xff' * 3000 + b'\nStopped\nStopped\n'))
    writer.start()
    noise = transport.read_line(deadline)
    assert (len(noise.text) <= 256, noise.is_whole) == (True, False)
    assert transport.read_line(deadline) == Line('Stopped', is_whole=False)
    assert transport.read_line(deadline) == Line('Stopped', is_whole=True)
    writer.join()
    transport.close()
    os.close(master)
    os.close(slave)


def test_half_a_request_that_went_out_is_made_invalid_before_the_next():
    sent = []

    class Port:
        def write(self, data):
            sent.append(data)
            if len(sent) == 1:
                raise serial.SerialTimeoutException('half of it went out')

    transport = SerialTransport('port', open_port=lambda *args, **kwargs: Port())
    with pytest.raises(LinkError, match='half of it'):
        transport.write(b'servos 5.00 -40.00\n')
    transport.write(b'stop\n')
    transport.write(b'angles\n')
    assert sent[1:] == [b'?\nstop\n', b'angles\n']


OTHER = Port('/dev/ttyUSB0', 'printer')
BOARD = Port('/dev/ttyACM0', 'Board in FS mode', 'E66', is_likely=True)
SECOND = Port('/dev/ttyACM1', 'Board in FS mode', 'E67', is_likely=True)


def test_the_only_likely_port_is_chosen():
    assert choose_port('', [BOARD, OTHER]) is BOARD
    assert choose_port('/dev/ttyUSB0', [BOARD, OTHER]) is OTHER
    assert choose_port('/some/link', [BOARD]).device == '/some/link'


def test_a_board_is_found_by_its_serial_number_under_any_name():
    moved = Port('/dev/ttyACM3', 'Board in FS mode', 'E66', is_likely=True)
    for wanted in ('/dev/ttyACM0', ''):
        assert choose_port(wanted, [OTHER, moved, SECOND], known=BOARD) is moved
    assert choose_port('/dev/ttyACM0', [BOARD, SECOND], known=BOARD) is BOARD
    assert choose_port('', [SECOND], known=Port('/tmp/pty')) is SECOND, 'without a serial number the name decides'


def test_another_board_under_the_same_name_is_not_taken_for_the_known_one():
    swapped = Port('/dev/ttyACM0', 'Board in FS mode', 'E67', is_likely=True)
    with pytest.raises(UserError, match=r'another device now.*E66.*E67'):
        choose_port('/dev/ttyACM0', [swapped], known=BOARD)
    assert choose_port('/dev/ttyACM0', [], known=BOARD) == Port('/dev/ttyACM0'), 'opening says that it is not there'


def test_a_link_to_a_port_has_its_serial_number(tmp_path):
    link = tmp_path / 'usb-Board-E66'
    link.symlink_to(BOARD.device)
    assert choose_port(str(link), [OTHER, BOARD]) is BOARD


@pytest.mark.parametrize(
    ('ports', 'listed'),
    [([], 'no serial port at all'), ([OTHER], '/dev/ttyUSB0 (printer)'), ([BOARD, OTHER, SECOND], '/dev/ttyACM1')],
)
def test_no_port_is_guessed(ports, listed):
    with pytest.raises(UserError) as error:
        choose_port('', ports)
    assert listed in str(error.value)
