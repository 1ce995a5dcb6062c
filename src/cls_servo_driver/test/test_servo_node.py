"""The node as a process, over ROS and a pseudo-terminal, and all ways of ending it."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_robot_info, to_time
from cls_common.nodes.retrying_client import RetryingClient
from cls_interfaces.msg import AppliedAction, RobotAction, RobotState
from cls_servo_driver.fake_servo_board import FakeServoBoard

DEADLINE = 60.0
FAST = {
    'open_wait': 0.05,
    'reply_timeout': 1.0,
    'firmware_timeout': 0.6,
    'keepalive': 0.1,
    'reconnect.first': 0.1,
    'reconnect.longest': 0.2,
}


class GraphObserver:
    """A ROS node that subscribes to all topics of a driver."""

    def __init__(self, context):
        self.node = rclpy.create_node('watcher', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.received = {}
        for topic in (comms.ROBOT_INFO, comms.ROBOT_STATE, comms.APPLIED_ACTION, comms.JOINT_STATES, comms.DIAGNOSTICS):
            self.received[topic.name] = []
            qos.subscription(self.node, topic, self.received[topic.name].append)
        self.actions = qos.publisher(self.node, comms.ROBOT_ACTION)
        self.sequence = 0

    def wait_for(self, predicate, what='it'):
        deadline = time.monotonic() + DEADLINE
        while not (result := predicate()):
            assert time.monotonic() < deadline, f'{what} did not come'
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def wait_for_state(self, state):
        states = self.received['robot/state']
        return self.wait_for(lambda: states and states[-1].state == state and states[-1], f'state {state}')

    def send(self, values, *, sequence=None, age=0.0):
        self.wait_for(lambda: self.actions.get_subscription_count() == 1, 'the driver')
        self.sequence += 1
        message = RobotAction(source='test', sequence=sequence or self.sequence, values=values)
        self.publish(message, age)
        return message

    def publish(self, message, age):
        message.header.stamp = to_time(self.node.get_clock().now().nanoseconds - int(age * 1e9))
        self.actions.publish(message)

    def ask(self, values, *, age=0.0, **kwargs):
        """Sends an action until it is answered, each second with a stamp of its own, and returns its result.

        The driver may not hear the first one yet, and refuses one that is older than a second.
        """
        results = self.received['robot/applied_action']
        known = len(results)
        message = self.send(values, age=age, **kwargs)
        again = time.monotonic() + 1.0

        def answered():
            nonlocal again
            if time.monotonic() > again:
                self.publish(message, age)
                again += 1.0
            return [answer for answer in results[known:] if answer.sequence == message.sequence]

        return self.wait_for(answered, 'the answer')[0]

    def call(self, client, request):
        requests, results = RetryingClient(client, retry_after=5.0), []
        return self.wait_for(lambda: results or requests.request(request, results.append), client.srv_name)[0]

    def change_state(self, transition):
        """Requests a transition after the driver is connected: the request can't be repeated."""
        client = self.node.create_client(ChangeState, 'servo_driver/change_state')
        self.call(self.node.create_client(GetState, 'servo_driver/get_state'), GetState.Request())
        change = Transition(id=getattr(Transition, f'TRANSITION_{transition}'))
        return self.call(client, ChangeState.Request(transition=change)).success

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def board():
    with FakeServoBoard() as fake:
        yield fake


@pytest.fixture(scope='module')
def contexts():
    """Makes separate contexts, each with a node that stays until all drivers have ended.

    The participant ends with the last node of a context, and the middleware sometimes crashed when a driver ended at
    that moment.
    """
    kept = []

    def make():
        context = rclpy.Context()
        context.init()
        kept.append((context, rclpy.create_node('anchor', context=context)))
        return context

    yield make
    for context, anchor in kept:
        anchor.destroy_node()
        context.try_shutdown()


@pytest.fixture
def observer(contexts):
    observer = GraphObserver(contexts())
    yield observer
    observer.close()


def start(port, namespace='/', **parameters):
    command = [sys.executable, '-m', 'cls_servo_driver.nodes.servo_driver', '--ros-args']
    for name, value in ({'port': port} | FAST | parameters).items():
        command += ['-p', f'{name}:={value}']
    command += ['-r', f'__ns:={namespace}']
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def run_driver():
    processes = []

    def run(port, **parameters):
        processes.append(start(port, **parameters))
        return processes[-1]

    yield run
    for process in processes:
        # In order if possible: a killed one and its services seem alive for 20 s.
        process.terminate()
        process.send_signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        # Shown with a failed test.
        print(process.communicate()[0])


def test_the_contract_of_a_robot(board, observer, run_driver):
    run_driver(board.port)
    assert observer.wait_for_state(RobotState.READY).error_code == RobotState.NONE
    (message,) = observer.wait_for(lambda: observer.received['robot/info'])
    info = from_robot_info(message)
    assert (info.name, info.modalities, info.joint_names) == ('pan_tilt', ('camera',), ('pan', 'tilt'))
    assert info.to_units([1.0, -0.5]).tolist() == [10.0, -5.0]

    answer = observer.ask([5.0, -25.0])
    assert (answer.source, answer.sequence, answer.error_code) == ('test', 1, AppliedAction.NONE)
    assert (list(answer.commanded), list(answer.applied)) == ([5.0, -25.0], [5.0, -10.0])
    assert list(answer.joints_before) == [0.0, 0.0]
    assert list(answer.joints_after) == pytest.approx([math.radians(5), math.radians(-10)])
    span = (answer.end.sec - answer.start.sec) + (answer.end.nanosec - answer.start.nanosec) * 1e-9
    assert 0 <= span < 1.0
    assert math.isnan(answer.reward)
    assert not (answer.terminal or answer.truncated)
    board.wait_for_outputs(5.0, -10.0)
    joints = observer.received['joint_states']
    observer.wait_for(lambda: joints and joints[-1].position[1] == pytest.approx(math.radians(-10)), 'joint state')
    assert list(joints[-1].name) == ['pan', 'tilt']

    moves = len(board.journal)
    again = observer.ask([5.0, -25.0], sequence=1)
    assert (again.start, list(again.joints_after)) == (answer.start, list(answer.joints_after))
    assert len(board.journal) == moves, 'a repeated action is answered again, not done again'

    for values, age, code in (
        ([math.nan, 0.0], 0.0, AppliedAction.NON_FINITE),
        ([1.0], 0.0, AppliedAction.WRONG_LENGTH),
        ([1.0, 1.0], 3.0, AppliedAction.TOO_OLD),
    ):
        refused = observer.ask(values, age=age)
        assert (refused.error_code, list(refused.applied)) == (code, [0.0, 0.0])
        assert refused.error_msg
    assert len(board.journal) == moves

    diagnostics = observer.wait_for(lambda: observer.received['/diagnostics'], 'diagnostics')[-1]
    assert [line.name for line in diagnostics.status] == ['robot: link', 'robot: joint pan', 'robot: joint tilt']
    assert {line.level for line in diagnostics.status} == {b'\x00'}


def test_diagnostics_of_two_robots_have_different_names(board, observer, run_driver):
    with FakeServoBoard() as other:
        run_driver(board.port, namespace='/left')
        run_driver(other.port, namespace='/right')

        def received():
            return {(s.name, s.hardware_id) for m in observer.received['/diagnostics'] for s in m.status}

        observer.wait_for(lambda: len(received()) == 6, 'the health of both')
        assert {(f'left/robot: joint {joint}', f'left/{board.port}') for joint in ('pan', 'tilt')} < received()
        assert {(f'right/robot: joint {joint}', f'right/{other.port}') for joint in ('pan', 'tilt')} < received()


def test_emergency_stop_and_rearm(board, observer, run_driver):
    run_driver(board.port)
    observer.ask([5.0, 5.0])
    stopped = observer.call(qos.client(observer.node, comms.EMERGENCY_STOP), Trigger.Request())
    assert stopped.success
    assert board.outputs.are_off
    assert observer.wait_for_state(RobotState.STOPPED).error_code == RobotState.EMERGENCY_STOP
    assert observer.ask([1.0, 1.0]).error_code == AppliedAction.NOT_READY
    assert board.outputs.are_off
    assert observer.call(qos.client(observer.node, comms.REARM), Trigger.Request()).success
    observer.wait_for_state(RobotState.READY)
    assert board.outputs.are_off, 'rearm alone moves nothing'
    assert list(observer.ask([1.0, 1.0]).applied) == [1.0, 1.0]


def test_a_lost_board_is_reported_and_found_again(board, observer, run_driver):
    run_driver(board.port)
    observer.ask([5.0, 5.0])
    board.unplug()
    fault = observer.wait_for_state(RobotState.FAULT)
    assert (fault.error_code, 'Check cable' in fault.error_msg) == (RobotState.LINK_LOST, True)
    assert observer.ask([1.0, 1.0]).error_code == AppliedAction.NOT_READY
    reports = observer.received['/diagnostics']
    observer.wait_for(lambda: reports and reports[-1].status[0].level == b'\x02', 'an error')
    board.plug()
    observer.wait_for_state(RobotState.READY)
    assert list(observer.ask([1.0, 1.0]).joints_after) == pytest.approx([math.radians(1)] * 2)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_torque_is_off_after_an_orderly_end(board, observer, run_driver, number):
    # The board's own timeout is long: the driver switches off.
    process = run_driver(board.port, firmware_timeout=60.0)
    observer.ask([5.0, 5.0])
    process.send_signal(number)
    board.wait_for_outputs(None, None, timeout=DEADLINE)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert observer.wait_for_state(RobotState.FAULT).error_msg


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_the_board_switches_off_when_the_driver_dies_or_hangs(board, observer, run_driver, number):
    process = run_driver(board.port)
    observer.ask([5.0, 5.0])
    ended = time.monotonic()
    os.kill(process.pid, number)
    off = board.wait_for_outputs(None, None, timeout=DEADLINE)
    assert off.time - ended < FAST['firmware_timeout'] + 0.3
    assert not any(line.startswith('stop') for line in board.received)


@pytest.mark.parametrize(
    ('parameters', 'expected_text'),
    [
        ({'port': '/dev/ttyNONE7'}, 'does not exist'),
        ({'limits.pan': 9.0}, 'limits.pan'),
    ],
)
def test_wrong_parameters_give_one_line_and_exit_status_2(run_driver, parameters, expected_text):
    process = run_driver(parameters.pop('port', '/dev/null'), **parameters)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2, output
    errors = [line for line in output.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    assert expected_text in errors[0]


def test_a_busy_port_is_reported(board, observer, run_driver):
    run_driver(board.port)
    observer.wait_for_state(RobotState.READY)
    second = start(board.port)
    output, _ = second.communicate(timeout=DEADLINE)
    assert second.returncode == 2
    assert 'in use by another program' in output
    assert list(observer.ask([1.0, 1.0]).applied) == [1.0, 1.0], 'the first is not disturbed'


def test_a_lifecycle_manager_can_start_and_stop_it(board, observer, run_driver):
    run_driver(board.port, autostart='false', firmware_timeout=30.0)
    observer.wait_for(lambda: 'servo_driver' in observer.node.get_node_names(), 'the node')
    assert board.received == []
    assert observer.change_state('CONFIGURE')
    assert board.received[0].startswith('angles')
    assert observer.change_state('ACTIVATE')
    observer.ask([5.0, 5.0])
    assert observer.change_state('DEACTIVATE')
    assert board.outputs.are_off
    assert 'not active' in observer.wait_for_state(RobotState.FAULT).error_msg
    assert observer.change_state('ACTIVATE')
    observer.wait_for_state(RobotState.READY)
    assert list(observer.ask([1.0, 1.0]).joints_after) == pytest.approx([math.radians(6)] * 2)
    assert observer.change_state('DEACTIVATE')
    assert observer.change_state('CLEANUP')
    assert observer.change_state('CONFIGURE')


def test_a_missing_port_fails_the_transition(observer, run_driver):
    process = run_driver('/dev/ttyNONE7', autostart='false')
    assert not observer.change_state('CONFIGURE')
    assert process.poll() is None
