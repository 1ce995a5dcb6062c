"""The node as a process, over ROS and the real protocol, and the ways in which a run ends."""

from collections.abc import Callable, Iterator
import contextlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, from_robot_info, to_time
from cls_common.nodes.retrying_client import RetryingClient
from cls_interfaces.msg import AppliedAction, RobotAction, RobotState
from cls_jetbot_driver.fake_jetbot import FakeJetBot, SIDE
from cls_jetbot_driver.motion import STILL

DEADLINE = 60.0
FAST = {'motor_timeout': 2.0, 'keepalive': 0.1, 'battery_period': 0.1, 'reconnect.longest': 0.2, 'give_up': 0.0}
TOPICS = (comms.ROBOT_INFO, comms.ROBOT_STATE, comms.APPLIED_ACTION, comms.IMAGE, comms.DIAGNOSTICS)


class Observer:
    """A ROS node that subscribes to all topics of the driver."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node('watcher', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {topic.name: [] for topic in TOPICS}
        for topic in TOPICS:
            qos.subscription(self.node, topic, self.received[topic.name].append)
        self.actions = qos.publisher(self.node, comms.ROBOT_ACTION)
        self.sequence = 0

    def wait_for(self, predicate: Callable[[], Any], what: str = 'it') -> Any:
        deadline = time.monotonic() + DEADLINE
        while not (result := predicate()):
            assert time.monotonic() < deadline, f'{what} did not come'
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def wait_for_state(self, state: int) -> Any:
        states = self.received['robot/state']
        return self.wait_for(lambda: states and states[-1].state == state and states[-1], f'state {state}')

    def ask(self, value: float) -> Any:
        """Sends an action until it is answered, each second with a stamp of its own, and returns its result."""
        self.wait_for(lambda: self.actions.get_subscription_count() == 1, 'the driver')
        self.sequence += 1
        sequence = self.sequence
        answers, again = self.received['robot/applied_action'], 0.0

        def answered() -> list[Any]:
            nonlocal again
            if time.monotonic() > again:
                again = time.monotonic() + 1.0
                self.publish(value)
            return [answer for answer in answers if answer.sequence == sequence]

        return self.wait_for(answered, 'the answer')[0]

    def publish(self, value: float) -> None:
        message = RobotAction(source='test', sequence=self.sequence, values=[value])
        message.header.stamp = to_time(self.node.get_clock().now().nanoseconds)
        self.actions.publish(message)

    def call(self, service: comms.Service) -> Any:
        results: list[Any] = []
        requests = RetryingClient(qos.client(self.node, service), retry_after=5.0)
        return self.wait_for(lambda: results or requests.request(Trigger.Request(), results.append), service.name)[0]


@pytest.fixture(scope='module')
def observer() -> Iterator[Observer]:
    """One for all tests: the middleware sometimes crashed when a participant ended together with another."""
    watcher = Observer()
    yield watcher
    watcher.executor.shutdown()
    watcher.node.destroy_node()
    watcher.context.try_shutdown()


@pytest.fixture
def robot() -> Iterator[FakeJetBot]:
    with FakeJetBot() as fake:
        yield fake


@pytest.fixture
def run_driver(observer: Observer) -> Iterator[Callable[..., 'subprocess.Popen[str]']]:
    processes: list[subprocess.Popen[str]] = []

    def run(port: int, **parameters: object) -> 'subprocess.Popen[str]':
        for messages in observer.received.values():
            messages.clear()
        command = [sys.executable, '-m', 'cls_jetbot_driver.nodes.jetbot_driver', '--ros-args']
        for name, value in ({'port': port} | FAST | parameters).items():
            command += ['-p', f'{name}:={value}']
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        print(process.communicate()[0])  # shown with a failed test


def test_the_contract_of_a_robot_with_a_camera(
    robot: FakeJetBot, observer: Observer, run_driver: Callable[..., 'subprocess.Popen[str]']
) -> None:
    process = run_driver(robot.port, duration=0.3)
    assert observer.wait_for_state(RobotState.READY).error_code == RobotState.NONE
    info = from_robot_info(observer.wait_for(lambda: observer.received['robot/info'])[0])
    assert (info.name, info.modalities, info.joint_names) == ('jetbot', ('camera',), ())
    image = from_image(observer.wait_for(lambda: observer.received['camera/image_raw'], 'an image')[-1])
    assert image.shape == (SIDE, SIDE, 3)

    answer = observer.ask(1.0)
    assert (answer.source, answer.error_code, list(answer.applied)) == ('test', AppliedAction.NONE, [1.0])
    assert (list(answer.joints_before), list(answer.joints_after)) == ([], [])
    assert max(c.motors.right for c in robot.log) == 0.12
    assert observer.ask(float('nan')).error_code == AppliedAction.NON_FINITE

    assert observer.call(comms.EMERGENCY_STOP).success
    assert observer.wait_for_state(RobotState.STOPPED).error_code == RobotState.EMERGENCY_STOP
    assert observer.ask(1.0).error_code == AppliedAction.NOT_READY
    assert observer.call(comms.REARM).success
    assert observer.ask(1.0).error_code == AppliedAction.NONE

    reports = observer.received['/diagnostics']
    names = ['robot: link', 'camera: stream']
    observer.wait_for(lambda: reports and [line.name for line in reports[-1].status] == names, 'diagnostics')

    robot.frame_fault = lambda: 'no picture'
    fault = observer.wait_for_state(RobotState.FAULT)
    assert fault.error_code == RobotState.LINK_LOST and 'no images' in fault.error_msg
    assert observer.ask(1.0).error_code == AppliedAction.NOT_READY
    robot.frame_fault = None
    observer.wait_for_state(RobotState.READY)

    observer.sequence += 1
    observer.publish(1.0)
    robot.wait_for(lambda: robot.motors != STILL)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert (robot.motors, robot.log[-1].is_request) == (STILL, True)


def test_a_lost_robot_ends_the_driver_with_one_line(
    robot: FakeJetBot, observer: Observer, run_driver: Callable[..., 'subprocess.Popen[str]']
) -> None:
    process = run_driver(robot.port, give_up=0.5)
    observer.wait_for_state(RobotState.READY)
    robot.battery = 8.0
    assert observer.wait_for_state(RobotState.FAULT).error_code == RobotState.LINK_LOST
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2, output
    (error,) = [line for line in output.splitlines() if 'error: ' in line]
    assert 'was lost for 0.5 s: battery of the JetBot' in error
    assert robot.motors == STILL


def test_a_host_that_is_not_allowed_is_not_connected_to(run_driver: Callable[..., 'subprocess.Popen[str]']) -> None:
    process = run_driver(18861, host='192.0.2.1')
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2, output
    assert 'allowed_hosts' in output
