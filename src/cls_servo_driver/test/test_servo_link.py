"""Driver and link against the board's own program: actions, stops, losses, in threads as in the node."""

import math
import threading
import time

import pytest

from cls_common.errors import UserError
from cls_servo_driver.answers import Action, Answer, AnswerMemory
from cls_servo_driver.board import Board
from cls_servo_driver.description import describe, Level, report
from cls_servo_driver.driver import Driver
from cls_servo_driver.fake_servo_board import FakeServoBoard
from cls_servo_driver.link import Link
from cls_servo_driver.ports import choose_port, Port
from cls_servo_driver.safety import Code, State
from cls_servo_driver.settings import LimitSettings, ReconnectSettings, ServoDriverSettings
from cls_servo_driver.transport import SerialTransport


class Host:
    """A link with what the node has around it, and waits that end."""

    def __init__(self, fake, **changes):
        self.fake = fake
        values = {'open_wait': 0.05, 'reply_timeout': 0.25, 'firmware_timeout': 0.6, 'keepalive': 0.1}
        self.settings = ServoDriverSettings(
            **values | {'reconnect': ReconnectSettings(first=0.05, longest=0.2)} | changes
        )
        self.changed = threading.Condition()
        self.answers = []
        self.sequence = 0
        self.driver = Driver(self.connect, self.settings, on_moving=self.wake, stamp=time.time_ns, clock=time.monotonic)
        self.link = Link(self.driver, self.settings, self.wake, time.monotonic)
        self.port = None
        self.driver.connect()
        self.link.start()

    def connect(self, latch):
        ports = [Port(self.fake.port, serial_number='E66')]
        self.port = choose_port(self.port.device if self.port else self.fake.port, ports, self.port)
        return Board(
            SerialTransport(self.port.device), latch, open_wait=self.settings.open_wait,
            reply_timeout=self.settings.reply_timeout, timeout=self.settings.firmware_timeout,
        )  # fmt: skip

    def wake(self):
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, predicate, timeout=10.0):
        with self.changed:
            assert self.changed.wait_for(predicate, timeout), 'not in time'

    def send(self, *values, sequence=None, age=0.0, source='test'):
        self.sequence += 1
        number = self.sequence if sequence is None else sequence
        self.link.submit(Action(source, number, values, age, time.monotonic()))

    def ask(self, *values, **kwargs):
        """Sends one action and returns its answer."""
        self.send(*values, **kwargs)
        return self.next_answer()

    def next_answer(self):
        def have():
            self.answers += self.link.take_answers()
            return self.answers

        self.wait_for(have)
        return self.answers.pop(0)

    def wait_for_state(self, state, timeout=10.0):
        self.wait_for(lambda: self.link.snapshot().state is state, timeout)


@pytest.fixture
def make_host():
    hosts, fakes = [], []

    def make(original=False, **changes):
        fake = FakeServoBoard(original=original)
        fake.__enter__()
        fakes.append(fake)
        hosts.append(Host(fake, **changes))
        return hosts[-1]

    yield make
    for host in hosts:
        host.link.close()
    for fake in fakes:
        fake.__exit__()


def test_actions_are_clipped_and_their_answers_say_what_was_done(make_host):
    host = make_host()
    answer = host.ask(5.0, -25.0)
    assert (answer.code, answer.applied, answer.before, answer.after) == (
        Code.NONE, (5.0, -10.0), (0.0, 0.0), (5.0, -10.0),
    )  # fmt: skip
    assert answer.action.values == (5.0, -25.0)
    assert 0 <= answer.end - answer.start < 1e9
    for _ in range(4):
        answer = host.ask(0.0, -10.0)
    assert (answer.applied, answer.after) == ((0.0, 0.0), (5.0, -40.0))
    assert (host.fake.outputs.pan, host.fake.outputs.tilt) == (5.0, -40.0)


@pytest.mark.parametrize(
    ('values', 'age', 'code'),
    [
        ((math.nan, 0.0), 0.0, Code.NON_FINITE),
        ((0.0, math.inf), 0.0, Code.NON_FINITE),
        ((5.0,), 0.0, Code.WRONG_LENGTH),
        ((5.0, 5.0), 1.5, Code.TOO_OLD),
        ((5.0, 5.0), -5.0, Code.TOO_OLD),
    ],
)
def test_what_must_not_be_done_is_refused_and_moves_nothing(make_host, values, age, code):
    host = make_host()
    answer = host.ask(*values, age=age)
    assert (answer.code, answer.applied, answer.before, answer.after) == (code, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    assert answer.text
    assert all(outputs.are_off for outputs in host.fake.journal)
    assert host.ask(1.0, 1.0).code is Code.NONE


def test_a_repeated_action_is_answered_again_and_not_done_again(make_host):
    host = make_host()
    first = host.ask(5.0, 0.0, sequence=7)
    assert host.ask(5.0, 0.0, sequence=7) is first
    assert host.ask(5.0, 0.0, sequence=7, source='other').after == (10.0, 0.0)
    assert host.ask(5.0, 0.0, sequence=8).after == (15.0, 0.0)


def test_of_waiting_actions_the_newest_is_done_and_each_is_answered(make_host):
    host = make_host(reply_timeout=1.0)
    host.fake.is_silent = True
    host.send(1.0, 0.0)
    host.wait_for_state(State.MOVING)
    host.send(2.0, 0.0)
    host.send(3.0, 0.0)
    superseded = host.next_answer()
    assert (superseded.action.values, superseded.code) == ((2.0, 0.0), Code.NOT_READY)


def test_the_rate_limit_holds_between_actions(make_host):
    host = make_host(limits=LimitSettings(rate_deg=20.0))
    start = time.monotonic()
    for _ in range(10):
        angle = host.ask(10.0, 0.0).after[0]
    assert angle <= 20.0 * (time.monotonic() - start) + 10.0


def test_the_board_is_kept_alive_without_actions(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    moved = host.fake.outputs.time
    host.wait_for(lambda: host.link.snapshot().idle > 2 * host.settings.firmware_timeout)
    assert host.fake.outputs.time == moved
    assert not host.fake.outputs.are_off


def test_emergency_stop_latches_until_rearm(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    start = time.monotonic()
    assert host.link.emergency_stop(1.0)
    assert host.fake.wait_for_outputs(None, None).time - start < 0.05
    assert host.link.snapshot().state is State.STOPPED
    assert host.ask(1.0, 1.0).code is Code.NOT_READY
    assert host.fake.outputs.are_off
    assert host.link.rearm() == ''
    assert host.fake.outputs.are_off
    assert host.ask(1.0, 1.0).after == (6.0, 6.0)


def test_emergency_stop_reaches_a_board_that_does_not_answer(make_host):
    host = make_host(reply_timeout=1.0)
    host.ask(5.0, 5.0)
    host.fake.is_silent = True
    host.send(1.0, 1.0)
    host.fake.wait_for_outputs(6.0, 6.0)
    start = time.monotonic()
    assert not host.link.emergency_stop(0.05), 'a silent board has confirmed nothing'
    assert host.fake.wait_for_outputs(None, None).time - start < 0.05
    assert 'confirmed' in host.link.rearm()


def test_emergency_stop_reaches_the_original_firmware(make_host):
    for _ in range(3):
        host = make_host(original=True)
        host.ask(5.0, 5.0)
        start = time.monotonic()
        assert host.link.emergency_stop(1.0)
        assert host.fake.wait_for_outputs(None, None).time - start < 0.1


def test_no_move_follows_an_emergency_stop_in_a_storm_of_actions(make_host):
    host = make_host()
    is_over = threading.Event()

    def storm():
        while not is_over.is_set():
            host.send(1.0, 0.5)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        host.wait_for(lambda: host.link.snapshot().moves > 20)
        assert host.link.emergency_stop(1.0)
        stopped = time.monotonic()
        refused = host.link.snapshot().refused
        host.wait_for(lambda: host.link.snapshot().refused > refused + 1000)
    finally:
        is_over.set()
        thread.join()
    # The link's own stop, which follows the first, is off as well.
    assert all(outputs.are_off for outputs in host.fake.journal if outputs.time > stopped)
    assert host.fake.outputs.are_off


def test_a_lost_board_is_a_fault_until_its_angles_are_known_again(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.unplug()
    host.wait_for_state(State.FAULT)
    snapshot = host.link.snapshot()
    assert (snapshot.reason.code, snapshot.angles) == (Code.STATE_LINK_LOST, None)
    refused = host.ask(1.0, 1.0)
    assert (refused.code, refused.before) == (Code.NOT_READY, None)
    host.fake.plug()
    host.wait_for_state(State.READY)
    assert host.link.snapshot().angles == (0.0, 0.0)
    assert host.ask(1.0, 1.0).after == (1.0, 1.0)


def test_a_board_that_comes_back_under_another_name_is_found(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.unplug()
    host.wait_for_state(State.FAULT)
    host.fake.port += '-again'
    host.fake.plug()
    host.wait_for_state(State.READY)
    assert host.ask(1.0, 1.0).after == (1.0, 1.0)


def test_an_unanswered_move_is_told_as_unknown_and_the_link_comes_back(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.is_silent = True
    answer = host.ask(1.0, 1.0)
    assert (answer.code, answer.applied, answer.after) == (Code.LINK_LOST, (), None)
    assert host.link.snapshot().state is State.FAULT
    host.fake.is_silent = False
    host.wait_for_state(State.READY)
    assert host.link.snapshot().angles == (6.0, 6.0), 'the board heard it, and the angles were read anew'


def test_a_board_that_started_anew_is_read_anew(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.reset()
    host.wait_for(lambda: host.link.snapshot().losses == 1)
    host.wait_for_state(State.READY)
    assert host.link.snapshot().angles == (0.0, 0.0)


def test_a_position_jump_needs_rearm(make_host):
    host = make_host()
    for _ in range(4):
        host.ask(10.0, 0.0)
    host.fake.reset()
    host.wait_for(lambda: host.link.snapshot().losses == 1)
    host.wait_for(lambda: host.link.snapshot().torque is False)
    snapshot = host.link.snapshot()
    assert (snapshot.state, snapshot.reason.code, snapshot.angles) == (State.FAULT, Code.POSITION_UNKNOWN, None)
    assert 'reports (0.0, 0.0) deg' in snapshot.reason.text and 'rearm' in snapshot.reason.text
    assert report(snapshot, host.settings)[1].level is Level.ERROR
    refused = host.ask(1.0, 0.0)
    assert (refused.code, refused.before) == (Code.NOT_READY, None)
    assert host.fake.outputs.are_off
    assert host.link.rearm() == ''
    assert host.fake.outputs.are_off
    answer = host.ask(1.0, 0.0)
    assert (answer.before, answer.after) == ((0.0, 0.0), (1.0, 0.0))


def test_after_an_unacknowledged_move_the_next_one_is_a_step_from_both_positions(make_host):
    host = make_host()
    host.fake.is_silent = True
    host.send(10.0, 4.0)
    assert host.next_answer().code is Code.LINK_LOST
    host.fake.is_silent = False
    host.wait_for_state(State.READY)
    answer = host.ask(5.0, -10.0)
    assert (answer.before, answer.after) == ((10.0, 4.0), (10.0, -6.0)), 'the servos stood at 0 to 10 and 0 to 4'
    assert host.ask(5.0, 0.0).after == (15.0, -6.0), 'acknowledged, so where they stand is certain again'


def test_a_stop_outlives_a_lost_link(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.unplug()
    host.wait_for_state(State.FAULT)
    assert not host.link.emergency_stop(0.01)
    host.fake.plug()
    host.wait_for(lambda: host.link.snapshot().torque is False)
    assert host.link.snapshot().state is State.STOPPED
    assert host.ask(1.0, 1.0).code is Code.NOT_READY
    assert host.link.rearm() == ''
    assert host.ask(1.0, 1.0).code is Code.NONE


def test_an_idle_robot_lets_go_where_that_is_set_and_goes_on_with_the_next_action(make_host):
    host = make_host(idle_timeout=0.3, idle_torque='release')
    host.ask(5.0, 5.0)
    host.fake.wait_for_outputs(None, None)
    host.wait_for(lambda: host.link.snapshot().reason.code is Code.COMMAND_TOO_OLD)
    assert host.link.snapshot().state is State.READY
    assert host.ask(1.0, 1.0).after == (6.0, 6.0)


@pytest.mark.parametrize('torque_off_on_exit', [True, False])
def test_torque_goes_off_at_the_end_where_that_is_set(make_host, torque_off_on_exit):
    host = make_host(torque_off_on_exit=torque_off_on_exit, firmware_timeout=30.0)
    host.ask(5.0, 5.0)
    host.link.close()
    assert host.fake.outputs.are_off == torque_off_on_exit
    host.link.close()


def test_health_says_what_to_do(make_host):
    host = make_host(original=True)
    bus, pan, tilt = report(host.link.snapshot(), host.settings)
    assert (bus.values['firmware timeout'], bus.values['checked replies']) == ('no', 'no')
    assert (bus.level, pan.level, tilt.level) == (Level.WARN, Level.OK, Level.OK)
    assert 'install firmware/servo2040/main.py' in bus.message
    host.link.emergency_stop(1.0)
    assert 'rearm' in report(host.link.snapshot(), host.settings)[1].message
    host.fake.unplug()
    host.wait_for(lambda: host.link.snapshot().losses == 1)
    bus, pan, _ = report(host.link.snapshot(), host.settings)
    assert (bus.level, bus.values['lost links']) == (Level.ERROR, '1')
    assert pan.values['angle_deg'] == 'unknown'


def test_the_robot_is_described_in_degrees_and_its_joints_in_radians():
    info = describe(ServoDriverSettings())
    assert [(c.name, c.unit, c.low, c.high) for c in info.channels] == [
        ('pan', 'deg', -10, 10),
        ('tilt', 'deg', -10, 10),
    ]
    assert info.joint_high == pytest.approx((math.pi / 2, math.radians(40)))
    assert (info.name, info.modalities, info.settle_time) == ('pan_tilt', ('camera',), 0.1)


def test_a_keepalive_too_slow_for_the_board_is_refused():
    with pytest.raises(UserError, match='keepalive'):
        ServoDriverSettings(keepalive=0.6, firmware_timeout=1.0)


def test_an_answer_is_remembered_for_seconds_only():
    memory = AnswerMemory()
    action = Action('teleop', 1, (5.0, 0.0), 0.0, arrived=100.0)
    assert memory.begin(action)
    assert not memory.begin(action), 'under way'
    answer = Answer(action, (5.0, 0.0), (0.0, 0.0), (5.0, 0.0), 0, 1)
    memory.keep(answer, 100.1)
    assert memory.recall(Action('teleop', 1, (5.0, 0.0), 0.0, arrived=104.0)) is answer
    assert memory.recall(Action('teleop', 1, (-5.0, 0.0), 0.0, arrived=104.0)) is None
    assert memory.recall(Action('teleop', 1, (5.0, 0.0), 0.0, arrived=110.0)) is None
