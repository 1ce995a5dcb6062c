"""Driver and link against a JetBot that serves the real protocol: actions, stops, faults."""

from collections.abc import Callable
import math

import pytest

from cls_common.driver.safety import Code, DriverState
from cls_common.errors import UserError
from cls_common.robot import Kind
from cls_jetbot_driver.description import describe
from cls_jetbot_driver.fake_jetbot import FakeJetBot
from cls_jetbot_driver.motion import Motors, STILL
from cls_jetbot_driver.settings import JetBotDriverSettings
from cls_jetbot_driver.testing import Host

MakeHost = Callable[..., Host]
FULL = Motors(0.0, 0.12)


def test_the_description_has_one_discrete_channel() -> None:
    info = describe(JetBotDriverSettings())
    (channel,) = info.channels
    assert (info.name, info.modalities, channel.kind) == ('jetbot', ('camera',), Kind.DISCRETE)
    assert (channel.low, channel.high) == (0.0, 1.0)
    assert info.to_units([1.0]).tolist() == [1.0]


def test_an_action_ramps_up_holds_ramps_down_and_ends_at_zero(make_host: MakeHost) -> None:
    host = make_host(keepalive=5.0, duration=0.2)
    known = len(host.robot.log)
    result = host.ask(1.0)
    assert (result.code, result.applied) == (Code.NONE, (1.0,))
    commands = host.robot.log[known:]
    values = [round(c.motors.right, 3) for c in commands]
    ramp = iter([0.03, 0.06, 0.09, 0.12, 0.09, 0.06, 0.03, 0.0])
    assert all(value in ramp for value in values), 'in this order; a busy machine leaves some out'
    assert 0.12 in values and values[-1] == 0.0
    assert commands[-1].time - commands[0].time > 0.2
    assert result.end - result.start > 0.24e9


def test_the_still_action_takes_its_time_and_moves_nothing(make_host: MakeHost) -> None:
    host = make_host()
    result = host.ask(0.0)
    assert (result.code, result.applied) == (Code.NONE, (0.0,))
    assert result.end - result.start >= 1e8
    assert {c.motors for c in host.robot.log} == {STILL}


@pytest.mark.parametrize(
    ('values', 'age', 'code'),
    [
        ((math.nan,), 0.0, Code.NON_FINITE),
        ((math.inf,), 0.0, Code.NON_FINITE),
        ((), 0.0, Code.WRONG_LENGTH),
        ((1.0, 1.0), 0.0, Code.WRONG_LENGTH),
        ((1.0,), 1.5, Code.TOO_OLD),
    ],
)
def test_invalid_actions_are_refused_and_move_nothing(
    make_host: MakeHost, values: tuple[float, ...], age: float, code: Code
) -> None:
    host = make_host()
    result = host.ask(*values, age=age)
    assert (result.code, result.applied) == (code, (0.0,))
    assert {c.motors for c in host.robot.log} == {STILL}


def test_a_repeated_action_is_answered_again_and_not_carried_out_again(make_host: MakeHost) -> None:
    host = make_host()
    first = host.ask(1.0, sequence=7)
    turns = [c for c in host.robot.log if c.motors == FULL]
    assert host.ask(1.0, sequence=7) is first
    assert [c for c in host.robot.log if c.motors == FULL] == turns


def test_a_stop_is_the_next_command_and_nothing_follows_until_rearm(make_host: MakeHost) -> None:
    host = make_host(duration=2.0, keepalive=5.0)
    host.send(1.0)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors == FULL)
    known = len(host.robot.log)
    assert host.link.emergency_stop(20.0), 'confirmed by the robot'
    assert {c.motors for c in host.robot.log[known:]} == {STILL}
    assert {host.next_result().code, host.next_result().code} == {Code.NOT_READY}
    assert host.driver.status().state is DriverState.STOPPED
    assert host.ask(1.0).code is Code.NOT_READY
    assert {c.motors for c in host.robot.log[known:]} == {STILL}
    assert host.link.rearm() == ''
    host.wait_for_state(DriverState.READY)
    assert {c.motors for c in host.robot.log[known:]} == {STILL}, 'rearm alone moves nothing'
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors != STILL)


def test_a_stop_passes_a_robot_that_does_not_answer(make_host: MakeHost) -> None:
    host = make_host(duration=2.0, motor_timeout=5.0, keepalive=5.0, timeout=30.0)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors.right > 0)
    host.robot.wire.holds_answers = True
    assert not host.link.emergency_stop(0.0), 'a silent robot has confirmed nothing'
    host.robot.wait_for(lambda: host.robot.motors == STILL)
    assert host.robot.log[-1].is_request
    host.robot.wire.holds_answers = False
    host.wait_for(lambda: host.driver.guard.off_confirmed)


def test_motors_at_rest_are_set_to_zero_again(make_host: MakeHost) -> None:
    host = make_host()
    known = len(host.robot.log)
    host.robot.wait_for(lambda: len(host.robot.log) > known + 3)
    assert {c.motors for c in host.robot.log} == {STILL}


def test_a_robot_drives_on_without_a_link_until_its_own_timeout(make_host: MakeHost) -> None:
    host = make_host(timeout=1.0, duration=2.0)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors == FULL)
    last = host.robot.log[-1].time
    host.robot.wire.holds_requests = host.robot.wire.holds_answers = True
    # The driver detects it only at its next command: sent now.
    host.link.emergency_stop(0.0)
    assert host.robot.motors == FULL, 'what was sent does not arrive'
    host.robot.wait_for(lambda: host.robot.motors == STILL)
    stop = host.robot.log[-1]
    assert not stop.is_request
    assert stop.time - last >= 1.0
    # What was held arrives at last, and ends with a stop.
    host.robot.wire.holds_requests = host.robot.wire.holds_answers = False
    host.wait_for(lambda: host.driver.status().losses and host.driver.is_connected)
    assert host.robot.motors == STILL


@pytest.mark.parametrize('answer', [False, b'\xff', (1, 2), ['a list'], object(), print])
def test_a_confirmation_of_another_kind_is_a_fault(make_host: MakeHost, answer: object) -> None:
    host = make_host(duration=1.0)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors.right > 0)
    host.robot.motor_fault = lambda: answer
    assert host.next_result().code is Code.LINK_LOST
    host.robot.wait_for(lambda: host.robot.motors == STILL)
    host.robot.motor_fault = None
    host.wait_for_state(DriverState.READY)


@pytest.mark.parametrize('error', [SystemExit, KeyboardInterrupt, ValueError])
def test_an_exception_of_the_robot_is_a_fault_and_nothing_else(make_host: MakeHost, error: type[BaseException]) -> None:
    host = make_host()

    def fail() -> object:
        raise error('of the robot')

    host.robot.motor_fault = fail
    host.wait_for_state(DriverState.FAULT)
    host.robot.motor_fault = None
    host.wait_for_state(DriverState.READY)
    assert host.ask(1.0).code is Code.NONE, 'it goes on'


def test_a_low_battery_is_a_fault_until_it_is_charged(make_host: MakeHost) -> None:
    host = make_host()
    host.robot.battery = 9.0
    host.wait_for_state(DriverState.FAULT)
    status = host.driver.status()
    assert 'expected at least 9.9 V; found 9.0 V' in status.reason.text
    assert status.reason.code is Code.STATE_LINK_LOST
    assert host.ask(1.0).code is Code.NOT_READY
    assert {c.motors for c in host.robot.log} == {STILL}
    host.wait_for(lambda: host.driver.status().lost_for > 0.3)
    host.robot.battery = 12.0
    host.wait_for_state(DriverState.READY)
    assert host.driver.status().lost_for == 0.0


def test_a_battery_that_is_no_number_is_a_fault(make_host: MakeHost) -> None:
    host = make_host()
    host.robot.battery = 'full'  # type: ignore[assignment]
    host.wait_for_state(DriverState.FAULT)
    assert 'a voltage' in host.driver.status().reason.text


def test_a_robot_without_a_battery_report_is_driven(make_host: MakeHost) -> None:
    host = make_host(battery=None)
    assert host.ask(1.0).code is Code.NONE
    assert host.driver.status().battery is None


def test_without_images_nothing_moves(make_host: MakeHost) -> None:
    host = make_host()
    host.camera_problem = 'no frame for 2 s'
    host.wait_for_state(DriverState.FAULT)
    assert 'no frame for 2 s' in host.driver.status().reason.text
    assert host.ask(1.0).code is Code.NOT_READY
    host.camera_problem = ''
    host.wait_for_state(DriverState.READY)


def test_closing_during_an_action_ends_with_motors_at_zero(make_host: MakeHost) -> None:
    host = make_host(duration=0.3, timeout=30.0)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors == FULL)
    host.link.close()
    assert host.robot.motors == STILL
    assert host.robot.log[-1].is_request


def test_a_robot_that_is_not_there_is_reported_in_one_line(make_host: MakeHost) -> None:
    with FakeJetBot() as robot:
        port = robot.port
    with pytest.raises(UserError, match='can not be reached'):
        Host(type('Gone', (), {'port': port})())


def test_another_service_on_the_port_is_refused() -> None:
    with FakeJetBot() as robot:
        robot.wire.garbles_answers = True
        with pytest.raises(UserError, match='does not answer set_motors'):
            Host(robot)
        assert {c.motors for c in robot.log} == {STILL}
