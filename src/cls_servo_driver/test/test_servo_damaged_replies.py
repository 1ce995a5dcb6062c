"""No damage to replies, nor to requests with checksum, may move a servo farther than one step."""

from collections import deque
from dataclasses import dataclass, field
import io
import json
import threading
import time

from hypothesis import given, settings, strategies
import pytest
import serial

from cls_common.driver.actions import DriverAction
from cls_common.driver.safety import Code, DriverState
from cls_common.errors import UserError
from cls_servo_driver.board import Board
from cls_servo_driver.driver import Driver
from cls_servo_driver.fake_firmware import load_program
from cls_servo_driver.fake_servo_board import FakeServoBoard, firmware_path
from cls_servo_driver.line_reader import LineReader
from cls_servo_driver.protocol import parse
from cls_servo_driver.settings import ServoDriverSettings
from cls_servo_driver.transport import SerialTransport

STEP = ServoDriverSettings().limits.max_delta_deg
# A line truncated within the hundredths looks whole: without a checksum this much may be missing.
PLAIN_TOLERANCE, CHECKED_TOLERANCE = 0.1, 1e-6


@dataclass(frozen=True)
class Damage:
    """Damage to one transmitted line.

    Attributes:
        only: prefix of the lines to damage; all others stay whole.
        at: number of bytes before the damage.
        text: inserted bytes, such as a debug print.
        pause: s of silence there.
        lost: bytes that are missing there.
        again: number of replies after which the line is repeated; None: never.
    """

    only: bytes = b''
    at: int = 0
    text: bytes = b''
    pause: float = 0.0
    lost: int = 0
    again: int | None = None

    def parts(self, line):
        if not line.startswith(self.only):
            return line, b''
        return line[: self.at] + self.text, line[self.at + self.lost :]


PRINTS = strategies.sampled_from([b'', b'\n', b'\r', b'debug', b'debug 1\n', b'\ndebug', b': \n\n', b'x' * 300])
ONLY = strategies.sampled_from([b'', b'-'])
PLACES = strategies.sampled_from([0, 1, 1, 2, 3, 4, 6, 7, 8, 9, 12, 14, 15, 16, 17, 30])
PAUSES = strategies.sampled_from([0.0, 0.0, 0.0, 0.2, 0.6, 0.6, 1.3])
AGAIN = strategies.sampled_from([None, None, 0, 1, 2, 5])
PLAIN_DAMAGE = strategies.builds(Damage, only=ONLY, at=PLACES, text=PRINTS, pause=PAUSES, again=AGAIN)
CHECKED_DAMAGE = strategies.builds(
    Damage,
    only=ONLY,
    at=PLACES,
    text=PRINTS | strategies.binary(max_size=4) | strategies.just(b'0.0,0.0\n'),
    pause=PAUSES,
    lost=strategies.sampled_from([0, 0, 1, 3, 40]),
    again=AGAIN,
)
ANGLES = strategies.tuples(
    strategies.sampled_from([-90.0, -40.0, -12.34, 0.0, 4.5, 45.0]), strategies.sampled_from([-40.0, -8.25, 0.0, 33.3])
)
DELTAS = strategies.lists(strategies.tuples(*[strategies.floats(-12, 12)] * 2), min_size=1, max_size=6)


def some(damage):
    """Damage to the first lines, individual or the same for all; later lines are whole, so that moves happen."""
    own = strategies.lists(strategies.just(Damage()) | damage, max_size=24)
    same = strategies.tuples(damage, strategies.integers(1, 40)).map(lambda pair: [pair[0]] * pair[1])
    return (own | same).map(deque)


def now_and_then(damages):
    """Damage to one line in three: a board that accepts no line would count as other firmware."""
    return deque(one for damage in damages for one in (damage, Damage(), Damage()))


class SimulatedPort:
    """A serial port in simulated time with the board's own program behind it."""

    def __init__(self, program, start, to_host, to_board):
        self.now = 1000.0
        self._program, self._servos = program, program.Servos()
        self._servos.move(*start)
        self._to_host, self._to_board = to_host, to_board
        self._heard = b''
        self._arriving = deque()
        self._repeated = []

    def clock(self):
        return self.now

    def open(self, *_args, **_kwargs):
        self._arriving.clear()
        return self

    def write(self, data):
        damage = self._to_board.popleft() if self._to_board else Damage()
        *lines, self._heard = (self._heard + b''.join(damage.parts(data))).replace(b'\r', b'\n').split(b'\n')
        for line in lines:
            if line.strip():
                self._reply(self._program.reply_to(self._servos, line.decode('latin-1').strip()).encode() + b'\n')

    def _reply(self, line):
        self._repeated = [(count - 1, old) for count, old in self._repeated]
        due = [old for count, old in self._repeated if count < 0]
        self._repeated = [(count, old) for count, old in self._repeated if count >= 0]
        damage = self._to_host.popleft() if self._to_host else Damage()
        if damage.again is not None:
            self._repeated.append((damage.again, line))
        first, second = damage.parts(line)
        last = self._arriving[-1][0] if self._arriving else self.now
        self._arriving += [(last, data) for data in (*due, first)] + [(last + damage.pause, second)]

    @property
    def in_waiting(self):
        return sum(len(data) for arrival, data in self._arriving if arrival <= self.now)

    def read(self, size):
        if size and not self.in_waiting:
            self.now += 0.01
        data = b''
        while self._arriving and self._arriving[0][0] <= self.now and len(data) < size:
            data += self._arriving.popleft()[1]
        return data

    def close(self):
        pass


@dataclass
class SimulatedDriver:
    """A driver without its thread, in simulated time."""

    port: SimulatedPort
    driver: Driver = field(init=False)
    results: list = field(default_factory=list)

    def __post_init__(self):
        self.driver = Driver(
            self.connect, ServoDriverSettings(), on_moving=lambda: None, stamp=lambda: 0, clock=self.port.clock
        )

    def connect(self, latch):
        transport = SerialTransport('port', clock=self.port.clock, open_port=self.port.open)
        return Board(transport, latch, clock=self.port.clock)

    def act(self, delta, rearms):
        """Acts like the link's thread: opens a lost board, keeps it alive, moves."""
        driver = self.driver
        try:
            if driver.board is None:
                driver.connect()
            driver.poll()
            if rearms and driver.guard.needs_rearm and driver.guard.off_confirmed:
                driver.guard.rearm()
            action = DriverAction('test', len(self.results), delta, 0.0, self.port.clock())
            self.results.append(driver.act(action))
            self.port.now += 0.3
            driver.poll()
        except UserError as error:
            driver.disconnect(error)


@pytest.fixture(scope='module')
def programs(tmp_path_factory):
    """Returns the board's program and the journal of its outputs, by whether it is the original."""
    made = {}
    for original in (False, True):
        journal = io.StringIO()
        folder = tmp_path_factory.mktemp('board')
        made[original] = load_program(firmware_path(), journal, folder, original), journal
    return made


def longest_move(outputs):
    """Returns the largest move of any servo; `outputs` are pairs of angles, None where off."""
    longest, angles_now = 0.0, list(outputs[0])
    for angles in outputs:
        for servo, angle in enumerate(angles):
            if angle is not None:
                longest = max(longest, abs(angle - angles_now[servo]))
                angles_now[servo] = angle
    return longest


def run(programs, original, start, deltas, to_host, to_board, rearms):
    program, journal = programs[original]
    journal.seek(0)
    journal.truncate()
    simulated = SimulatedDriver(SimulatedPort(program, start, to_host, to_board))
    for delta in deltas:
        simulated.act(delta, rearms)
    outputs = [json.loads(line)['outputs'] for line in journal.getvalue().splitlines()]
    return simulated, [pair for pair in outputs if None not in pair]


@given(ANGLES, DELTAS, some(CHECKED_DAMAGE), strategies.lists(CHECKED_DAMAGE, max_size=12).map(now_and_then))
@settings(max_examples=400, deadline=None)
def test_checked_lines_bound_every_move_for_any_damage(programs, start, deltas, to_host, to_board):
    _, outputs = run(programs, False, start, deltas, to_host, to_board, rearms=True)
    assert longest_move(outputs) <= STEP + CHECKED_TOLERANCE


@given(ANGLES, DELTAS, some(PLAIN_DAMAGE))
@settings(max_examples=400, deadline=None)
def test_plain_lines_bound_every_move_for_any_debug_prints(programs, start, deltas, to_host):
    _, outputs = run(programs, True, start, deltas, to_host, deque(), rearms=False)
    assert longest_move(outputs) <= STEP + PLAIN_TOLERANCE


@pytest.mark.parametrize('original', [False, True])
@given(start=ANGLES, deltas=DELTAS)
@settings(max_examples=50, deadline=None)
def test_complete_lines_move_the_servos(programs, original, start, deltas):
    simulated, outputs = run(programs, original, start, deltas, deque(), deque(), rearms=False)
    assert [result.code for result in simulated.results] == [Code.NONE] * len(deltas)
    assert outputs[-1] == pytest.approx(simulated.results[-1].after)


@given(strategies.binary(max_size=400), strategies.lists(strategies.integers(1, 50)), strategies.integers(0, 400))
def test_the_reader_marks_only_complete_lines_as_whole(stream, sizes, forget_at):
    stream = stream.replace(b'\x01', b'\n').replace(b'\x02', b'\nStopped\n')
    whole = [line.decode('ascii', 'replace').removesuffix('\r') for line in stream.split(b'\n')[1:-1]]
    reader, taken, done = LineReader(lambda text: parse(text) is not None), [], 0
    for size in [*sizes, len(stream)]:
        reader.feed(stream[done : done + size])
        if done <= forget_at < done + size:
            reader.forget()
        done += size
        while (line := reader.next()) is not None:
            taken.append(line)
    missing = iter(whole)
    assert all(line.text in missing for line in taken if line.is_whole), 'in order, and none that was not sent'


def cut_off_sign_by_print(line):
    return [b'-', b'debug\n', line[1:]] if line.startswith(b'-') else [line]


def cut_off_sign_by_pause(line):
    if line.startswith(b'-'):
        yield b'-'
        # Longer than the driver waits for a reply.
        threading.Event().wait(0.4)
    yield line.removeprefix(b'-')


def print_before_line(line):
    return [b'debug\n', line]


def stand_at(fake, line):
    with serial.Serial(fake.port, 115200, timeout=2.0) as host:
        host.write(line + b'\n')
        assert host.readline()


def make_driver(fake, **changes):
    """Returns a driver of a board on a pseudo-terminal; connected if the board's replies are valid."""
    driver = Driver(
        lambda latch: Board(SerialTransport(fake.port), latch, open_wait=0.02, reply_timeout=0.25),
        ServoDriverSettings(**changes),
        on_moving=lambda: None,
        stamp=time.time_ns,
    )
    connect(driver)
    return driver


def connect(driver):
    try:
        driver.connect()
    except UserError as error:
        driver.disconnect(error)


@pytest.mark.parametrize('original', [False, True])
@pytest.mark.parametrize('distort', [cut_off_sign_by_print, cut_off_sign_by_pause, print_before_line])
def test_a_lost_sign_moves_nothing_far(original, distort):
    with FakeServoBoard(original=original) as fake:
        stand_at(fake, b'servos -40 0')
        fake.distort = distort
        driver = make_driver(fake)
        driver.act(DriverAction('test', 1, (5.0, 0.0), 0.0, time.monotonic()))
        moves = [(o.pan, o.tilt) for o in fake.journal if not o.are_off]
        assert set(moves) <= {(-40.0, 0.0), (-35.0, 0.0)}
        assert (driver.guard.state is DriverState.READY) == (not original and distort is print_before_line)
        # Without damage, it continues.
        fake.distort = lambda line: [line]
        deadline = time.monotonic() + 10.0
        while driver.board is None and time.monotonic() < deadline:
            connect(driver)
        result = driver.act(DriverAction('test', 2, (5.0, 0.0), 0.0, time.monotonic()))
        assert result.after == (moves[-1][0] + 5.0, 0.0)
        driver.board.close()


@pytest.mark.parametrize('original', [False, True])
def test_a_position_is_accepted_when_two_reports_are_equal(original):
    damaged = []

    def lose_a_digit_once(line):
        if line.startswith(b'-40') and not damaged:
            damaged.append(line)
            line = line.replace(b'-40', b'-4')
        return [line]

    with FakeServoBoard(original=original) as fake:
        stand_at(fake, b'servos -40 0')
        fake.distort = lose_a_digit_once
        driver = make_driver(fake)
        assert driver.status().angles == (-40.0, 0.0)
        assert damaged
        driver.board.close()


@given(some(CHECKED_DAMAGE), DELTAS)
@settings(max_examples=12, deadline=None)
def test_damage_on_a_terminal_bounds_every_move(terminal_board, to_host, deltas):
    fake = terminal_board

    def distort(line):
        damage = to_host.popleft() if to_host else Damage()
        first, second = damage.parts(line)
        yield first
        threading.Event().wait(min(damage.pause, 0.3))
        yield second

    fake.distort = distort
    driver = make_driver(fake)
    for sequence, delta in enumerate(deltas):
        if driver.board is not None:
            driver.act(DriverAction('test', sequence, delta, 0.0, time.monotonic()))
    if driver.board is not None:
        driver.board.close()
    assert longest_move([(o.pan, o.tilt) for o in fake.journal if not o.are_off] or [(0, 0)]) <= STEP + 1e-6


@pytest.fixture(scope='module')
def terminal_board():
    with FakeServoBoard() as fake:
        stand_at(fake, b'servos -40 20')
        yield fake
