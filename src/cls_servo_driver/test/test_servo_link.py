"""Driver and link against the board's own program: actions, stops, losses, in threads as in the node."""

import math
import threading
import time

import pytest

from cls_common.driver.actions import ActionResult, DriverAction, ResultCache
from cls_common.driver.link import Link, ReconnectSettings
from cls_common.driver.safety import Code, DriverState
from cls_common.errors import UserError
from cls_servo_driver.board import Board
from cls_servo_driver.description import describe, Level, report
from cls_servo_driver.driver import Driver
from cls_servo_driver.fake_servo_board import FakeServoBoard
from cls_servo_driver.ports import choose_port, SerialPort
from cls_servo_driver.settings import LimitSettings, ServoDriverSettings
from cls_servo_driver.transport import SerialTransport


class Host:
    """A link with callbacks like the node's, and waits with deadlines."""

    def __init__(self, fake, **changes):
        self.fake = fake
        values = {'open_wait': 0.05, 'reply_timeout': 0.25, 'firmware_timeout': 0.6, 'keepalive': 0.1}
        self.settings = ServoDriverSettings(
            **values | {'reconnect': ReconnectSettings(first=0.05, longest=0.2)} | changes
        )
        self.changed = threading.Condition()
        self.results = []
        self.sequence = 0
        self.driver = Driver(
            self.connect, self.settings, on_moving=self.notify, stamp=time.time_ns, clock=time.monotonic
        )
        self.link = Link(
            self.driver,
            self.settings.reconnect,
            self.notify,
            time.monotonic,
            off_on_exit=self.settings.torque_off_on_exit,
        )
        self.port = None
        self.driver.connect()
        self.link.start()

    def connect(self, latch):
        ports = [SerialPort(self.fake.port, serial_number='E66')]
        self.port = choose_port(self.port.device if self.port else self.fake.port, ports, self.port)
        return Board(
            SerialTransport(self.port.device),
            latch,
            open_wait=self.settings.open_wait,
            reply_timeout=self.settings.reply_timeout,
            timeout=self.settings.firmware_timeout,
        )

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, predicate, timeout=40.0):
        with self.changed:
            assert self.changed.wait_for(predicate, timeout), 'not in time'

    def send(self, *values, sequence=None, age=0.0, source='test'):
        self.sequence += 1
        number = self.sequence if sequence is None else sequence
        self.link.submit(DriverAction(source, number, values, age, time.monotonic()))

    def ask(self, *values, **kwargs):
        """Sends one action and returns its answer."""
        self.send(*values, **kwargs)
        return self.next_answer()

    def next_answer(self):
        def have():
            self.results += self.link.take_results()
            return self.results

        self.wait_for(have)
        return self.results.pop(0)

    def wait_for_state(self, state, timeout=40.0):
        self.wait_for(lambda: self.link.status().state is state, timeout)


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


def test_actions_are_clipped_and_their_results_hold_the_applied_values(make_host):
    host = make_host()
    answer = host.ask(5.0, -25.0)
    assert (answer.code, answer.applied, answer.before, answer.after) == (
        Code.NONE,
        (5.0, -10.0),
        (0.0, 0.0),
        (5.0, -10.0),
    )
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
def test_invalid_actions_are_refused_and_move_nothing(make_host, values, age, code):
    host = make_host()
    answer = host.ask(*values, age=age)
    assert (answer.code, answer.applied, answer.before, answer.after) == (code, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    assert answer.text
    assert all(outputs.are_off for outputs in host.fake.journal)
    assert host.ask(1.0, 1.0).code is Code.NONE


def test_a_repeated_action_is_answered_again_without_a_move(make_host):
    host = make_host()
    first = host.ask(5.0, 0.0, sequence=7)
    assert host.ask(5.0, 0.0, sequence=7) is first
    assert host.ask(5.0, 0.0, sequence=7, source='other').after == (10.0, 0.0)
    assert host.ask(5.0, 0.0, sequence=8).after == (15.0, 0.0)


def test_the_newest_pending_action_is_carried_out_and_each_is_answered(make_host):
    host = make_host(reply_timeout=1.0)
    host.fake.drops_replies = True
    host.send(1.0, 0.0)
    host.wait_for_state(DriverState.MOVING)
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
    host.wait_for(lambda: host.link.status().idle > 2 * host.settings.firmware_timeout)
    assert host.fake.outputs.time == moved
    assert not host.fake.outputs.are_off


def test_emergency_stop_latches_until_rearm(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    start = time.monotonic()
    assert host.link.emergency_stop(1.0)
    assert host.fake.wait_for_outputs(None, None).time - start < 0.05
    assert host.link.status().state is DriverState.STOPPED
    assert host.ask(1.0, 1.0).code is Code.NOT_READY
    assert host.fake.outputs.are_off
    assert host.link.rearm() == ''
    assert host.fake.outputs.are_off
    assert host.ask(1.0, 1.0).after == (6.0, 6.0)


def test_emergency_stop_reaches_a_board_that_does_not_answer(make_host):
    host = make_host(reply_timeout=1.0)
    host.ask(5.0, 5.0)
    host.fake.drops_replies = True
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


def test_no_move_follows_an_emergency_stop_under_many_actions(make_host):
    host = make_host()
    is_over = threading.Event()

    def send_many():
        while not is_over.is_set():
            host.send(1.0, 0.5)

    thread = threading.Thread(target=send_many)
    thread.start()
    try:
        host.wait_for(lambda: host.link.status().moves > 20)
        assert host.link.emergency_stop(1.0)
        stopped = time.monotonic()
        refused = host.link.status().refused
        host.wait_for(lambda: host.link.status().refused > refused + 1000)
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
    host.wait_for_state(DriverState.FAULT)
    status = host.link.status()
    assert (status.reason.code, status.angles) == (Code.STATE_LINK_LOST, None)
    refused = host.ask(1.0, 1.0)
    assert (refused.code, refused.before) == (Code.NOT_READY, None)
    host.fake.plug()
    host.wait_for_state(DriverState.READY)
    assert host.link.status().angles == (0.0, 0.0)
    assert host.ask(1.0, 1.0).after == (1.0, 1.0)


def test_a_board_is_found_under_another_port_name(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.unplug()
    host.wait_for_state(DriverState.FAULT)
    host.fake.port += '-again'
    host.fake.plug()
    host.wait_for_state(DriverState.READY)
    assert host.ask(1.0, 1.0).after == (1.0, 1.0)


def test_an_unanswered_move_is_reported_as_unknown_and_the_link_reconnects(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.drops_replies = True
    answer = host.ask(1.0, 1.0)
    assert (answer.code, answer.applied, answer.after) == (Code.LINK_LOST, (), None)
    assert host.link.status().state is DriverState.FAULT
    host.fake.drops_replies = False
    host.wait_for_state(DriverState.READY)
    assert host.link.status().angles == (6.0, 6.0), 'the board received it, and the angles were read again'


def test_the_angles_of_a_restarted_board_are_read_again(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.reset()
    host.wait_for(lambda: host.link.status().losses == 1)
    host.wait_for_state(DriverState.READY)
    assert host.link.status().angles == (0.0, 0.0)


def test_a_position_jump_needs_rearm(make_host):
    host = make_host()
    for _ in range(4):
        host.ask(10.0, 0.0)
    host.fake.reset()
    host.wait_for(lambda: host.link.status().losses == 1)
    host.wait_for(lambda: host.link.status().torque is False)
    status = host.link.status()
    assert (status.state, status.reason.code, status.angles) == (DriverState.FAULT, Code.POSITION_UNKNOWN, None)
    assert 'reports (0.0, 0.0) deg' in status.reason.text and 'rearm' in status.reason.text
    assert report(status, host.settings)[1].level is Level.ERROR
    refused = host.ask(1.0, 0.0)
    assert (refused.code, refused.before) == (Code.NOT_READY, None)
    assert host.fake.outputs.are_off
    assert host.link.rearm() == ''
    assert host.fake.outputs.are_off
    answer = host.ask(1.0, 0.0)
    assert (answer.before, answer.after) == ((0.0, 0.0), (1.0, 0.0))


def test_after_an_unacknowledged_move_the_next_one_is_a_step_from_both_positions(make_host):
    host = make_host()
    host.fake.drops_replies = True
    host.send(10.0, 4.0)
    assert host.next_answer().code is Code.LINK_LOST
    host.fake.drops_replies = False
    host.wait_for_state(DriverState.READY)
    answer = host.ask(5.0, -10.0)
    assert (answer.before, answer.after) == ((10.0, 4.0), (10.0, -6.0)), 'the servos stood at 0 to 10 and 0 to 4'
    assert host.ask(5.0, 0.0).after == (15.0, -6.0), 'acknowledged, so where they stand is certain again'


def test_a_stop_remains_latched_after_a_lost_link(make_host):
    host = make_host()
    host.ask(5.0, 5.0)
    host.fake.unplug()
    host.wait_for_state(DriverState.FAULT)
    assert not host.link.emergency_stop(0.01)
    host.fake.plug()
    host.wait_for(lambda: host.link.status().torque is False)
    assert host.link.status().state is DriverState.STOPPED
    assert host.ask(1.0, 1.0).code is Code.NOT_READY
    assert host.link.rearm() == ''
    assert host.ask(1.0, 1.0).code is Code.NONE


def test_an_idle_robot_releases_torque_if_configured_and_moves_with_the_next_action(make_host):
    host = make_host(idle_timeout=0.3, idle_torque='release')
    host.ask(5.0, 5.0)
    host.fake.wait_for_outputs(None, None)
    host.wait_for(lambda: host.link.status().reason.code is Code.COMMAND_TOO_OLD)
    assert host.link.status().state is DriverState.READY
    assert host.ask(1.0, 1.0).after == (6.0, 6.0)


@pytest.mark.parametrize('torque_off_on_exit', [True, False])
def test_torque_is_switched_off_at_exit_if_configured(make_host, torque_off_on_exit):
    host = make_host(torque_off_on_exit=torque_off_on_exit, firmware_timeout=30.0)
    host.ask(5.0, 5.0)
    host.link.close()
    assert host.fake.outputs.are_off == torque_off_on_exit
    host.link.close()


def test_diagnostics_give_advice(make_host):
    host = make_host(original=True)
    bus, pan, tilt = report(host.link.status(), host.settings)
    assert (bus.values['firmware timeout'], bus.values['checked replies']) == ('no', 'no')
    assert (bus.level, pan.level, tilt.level) == (Level.WARN, Level.OK, Level.OK)
    assert 'install firmware/servo2040/main.py' in bus.message
    host.link.emergency_stop(1.0)
    assert 'rearm' in report(host.link.status(), host.settings)[1].message
    host.fake.unplug()
    host.wait_for(lambda: host.link.status().losses == 1)
    bus, pan, _ = report(host.link.status(), host.settings)
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


def test_results_are_cached_for_seconds_only():
    memory = ResultCache()
    action = DriverAction('teleop', 1, (5.0, 0.0), 0.0, arrived=100.0)
    assert memory.begin(action)
    assert not memory.begin(action), 'under way'
    answer = ActionResult(action, (5.0, 0.0), (0.0, 0.0), (5.0, 0.0), 0, 1)
    memory.keep(answer, 100.1)
    assert memory.recall(DriverAction('teleop', 1, (5.0, 0.0), 0.0, arrived=104.0)) is answer
    assert memory.recall(DriverAction('teleop', 1, (-5.0, 0.0), 0.0, arrived=104.0)) is None
    assert memory.recall(DriverAction('teleop', 1, (5.0, 0.0), 0.0, arrived=110.0)) is None
