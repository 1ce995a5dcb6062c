"""Transport and board over a pseudo-terminal, with the real pyserial and the board's own program."""

import os
import threading
import time

import pytest
import serial
from serial.tools import list_ports, list_ports_common

from cls_common.driver.link import LinkError
from cls_common.driver.safety import StopLatch, StoppedError
from cls_common.errors import UserError
from cls_servo_driver.board import Board, PositionError
from cls_servo_driver.fake_servo_board import FakeServoBoard
from cls_servo_driver.line_reader import SerialLine
from cls_servo_driver.ports import choose_port, find_ports, read_answer, SerialPort
from cls_servo_driver.transport import SerialTransport


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
    received = len(fake.received)
    board = open_board(fake)
    assert board.angles == (12.5, -7.25)
    asked = [line.partition('#')[0] for line in fake.received[received:]]
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


def test_this_firmware_and_the_original_are_distinguished(fake):
    assert open_board(fake).has_timeout
    with FakeServoBoard(original=True) as original:
        original.drain_time = 0.15
        board = open_board(original)
        assert not board.has_timeout
        assert board.repeats > 0, 'the original drops what follows its reply closely, so this was asked again'
        board.move((1.0, 1.0))
        board.stop()
        assert original.outputs.are_off
        board.close()


def test_a_silent_board_is_an_error_with_advice(fake):
    fake.drops_replies = True
    with pytest.raises(UserError, match=r'does not answer.*silence.*firmware/servo2040/main\.py'):
        open_board(fake)
    fake.drops_replies = False
    open_board(fake).close()


def test_a_board_that_sends_garbage_moves_nothing(fake):
    fake.sends_garbage = True
    with pytest.raises(UserError, match=r'does not answer.*#\?1,x'):
        open_board(fake)
    assert all(outputs.are_off for outputs in fake.journal)


def test_a_move_without_acknowledgement_is_an_error(fake):
    board = open_board(fake)
    fake.replies_left = 0
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


def test_a_restarted_board_is_detected(fake):
    board = open_board(fake)
    board.move((5.0, 5.0))
    fake.reset()
    with pytest.raises(PositionError, match='restarted'):
        board.check()
    board.close()


def test_a_board_that_is_starting_is_waited_for(fake):
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
        with pytest.raises(LinkError, match='is disconnected'):
            request()
    board.close()
    with pytest.raises(UserError, match='does not exist'):
        open_board(fake)
    fake.plug()
    open_board(fake).close()


def test_an_engaged_latch_blocks_moves(fake):
    latch = StopLatch()
    board = open_board(fake, latch)
    board.move((5.0, 5.0))
    latch.engage(board.send_stop)
    with pytest.raises(StoppedError):
        board.move((6.0, 6.0))
    fake.wait_for_outputs(None, None, timeout=0.5)
    assert not any(line.startswith('servos 6.00 6.00') for line in fake.received)
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
    ('port', 'problem'),
    [('/dev/ttyNONE7', 'does not exist'), ('/dev/null', 'cannot be opened'), ('', 'does not exist')],
)
def test_an_unusable_port_is_an_error_with_advice(port, problem):
    with pytest.raises(UserError, match=problem) as error:
        SerialTransport(port)
    assert '\n' not in str(error.value)
    assert repr(port) in str(error.value)


def test_lines_are_assembled_and_noise_without_line_end_is_bounded():
    master, slave = os.openpty()
    transport = SerialTransport(os.ttyname(slave))
    os.write(master, b'S1:1')
    assert transport.read_line(time.monotonic()) is None
    os.write(master, b'.0\r\n0.0,0.0\nx')
    deadline = time.monotonic() + 5
    assert transport.read_line(deadline) == SerialLine('S1:1.0', is_whole=False)
    assert transport.read_line(deadline) == SerialLine('0.0,0.0', is_whole=True)
    writer = threading.Thread(target=lambda: os.write(master, b'\xff' * 3000 + b'\nStopped\nStopped\n'))
    writer.start()
    noise = transport.read_line(deadline)
    assert (len(noise.text) <= 256, noise.is_whole) == (True, False)
    assert transport.read_line(deadline) == SerialLine('Stopped', is_whole=False)
    assert transport.read_line(deadline) == SerialLine('Stopped', is_whole=True)
    writer.join()
    transport.close()
    os.close(master)
    os.close(slave)


def test_a_partially_sent_request_is_invalidated_before_the_next():
    sent = []

    class SerialPort:
        def write(self, data):
            sent.append(data)
            if len(sent) == 1:
                raise serial.SerialTimeoutException('half of it went out')

    transport = SerialTransport('port', open_port=lambda *args, **kwargs: SerialPort())
    with pytest.raises(LinkError, match='half of it'):
        transport.write(b'servos 5.00 -40.00\n')
    transport.write(b'stop\n')
    transport.write(b'angles\n')
    assert sent[1:] == [b'?\nstop\n', b'angles\n']


OTHER = SerialPort('/dev/ttyUSB0', 'printer')
BOARD = SerialPort('/dev/ttyACM0', 'Board in FS mode', 'E66', is_likely=True)
SECOND = SerialPort('/dev/ttyACM1', 'Board in FS mode', 'E67', is_likely=True)


def test_the_only_likely_port_is_chosen():
    assert choose_port('', [BOARD, OTHER]) is BOARD
    assert choose_port('/dev/ttyUSB0', [BOARD, OTHER]) is OTHER
    assert choose_port('/some/link', [BOARD]).device == '/some/link'


def test_a_board_is_found_by_its_serial_number_under_any_name():
    moved = SerialPort('/dev/ttyACM3', 'Board in FS mode', 'E66', is_likely=True)
    for wanted in ('/dev/ttyACM0', ''):
        assert choose_port(wanted, [OTHER, moved, SECOND], known=BOARD) is moved
    assert choose_port('/dev/ttyACM0', [BOARD, SECOND], known=BOARD) is BOARD
    assert choose_port('', [SECOND], known=SerialPort('/tmp/pty')) is SECOND, 'without a serial number the name decides'


def test_another_board_under_the_same_name_is_refused():
    swapped = SerialPort('/dev/ttyACM0', 'Board in FS mode', 'E67', is_likely=True)
    with pytest.raises(UserError, match=r'another device now.*E66.*E67'):
        choose_port('/dev/ttyACM0', [swapped], known=BOARD)
    assert choose_port('/dev/ttyACM0', [], known=BOARD) == SerialPort('/dev/ttyACM0'), (
        'opening reports that it does not exist'
    )


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


def test_a_port_is_chosen_by_number_or_path_and_the_answer_is_never_evaluated():
    found = [SerialPort('/dev/ttyACM0', 'board'), SerialPort('/dev/ttyUSB0', 'other')]
    assert read_answer(' 2 ', found) == '/dev/ttyUSB0'
    assert read_answer('/dev/pts/3', found) == '/dev/pts/3'
    assert read_answer('__import__("os").getpid()', found) == '__import__("os").getpid()'
    for answer in ('0', '3', ''):
        with pytest.raises(UserError):
            read_answer(answer, found)


def test_only_ports_with_a_device_behind_them_are_listed(monkeypatch):
    def comports():
        board = list_ports_common.ListPortInfo('/dev/ttyACM0')
        board.hwid, board.vid, board.description, board.serial_number = 'USB VID:PID=2E8A:0005', 0x2E8A, 'Board', 'e6'
        return [board, list_ports_common.ListPortInfo('/dev/ttyS0')]

    monkeypatch.setattr(list_ports, 'comports', comports)
    assert find_ports() == [SerialPort('/dev/ttyACM0', 'Board', 'e6', is_likely=True)]
