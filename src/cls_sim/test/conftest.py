"""A simulator as a process, and a client that acts like a learner."""

from collections.abc import Callable
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, to_floats, to_nanoseconds
from cls_common.nodes.retrying_client import RetryingClient
from cls_interfaces.msg import AppliedAction, RobotAction

DEADLINE = 60.0


class SimulatorClient:
    """Subscribes to a simulator's topics and sends actions like a learner: repeated until answered."""

    def __init__(self, lock_step: bool) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('listener', context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.order: list[tuple[str, object]] = []
        topics = [
            comms.CAMERA_INFO,
            comms.JOINT_STATES,
            comms.ROBOT_INFO,
            comms.ROBOT_STATE,
            comms.APPLIED_ACTION,
            comms.DIAGNOSTICS,
            comms.CLOCK,
            comms.observation_topic('state'),
        ]
        for topic in topics:
            self._subscribe(topic)
        self._subscribe(comms.IMAGE, comms.SENSOR_RELIABLE if lock_step else comms.SENSOR)
        self.action = qos.publisher(self.node, comms.ROBOT_ACTION)
        self.sequence = 0

    def _subscribe(self, topic: comms.Topic, profile: comms.Profile | None = None) -> None:
        qos.subscription(
            self.node, topic, lambda m: self.order.append((topic.name, m)), profile=profile or topic.profile
        )

    def all(self, topic: comms.Topic) -> list:
        return [message for name, message in self.order if name == topic.name]

    def until(self, condition: Callable[[], object], what: str):
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            assert time.monotonic() < end, f'{what} did not happen in {DEADLINE} s'
            self.executor.spin_once(timeout_sec=0.05)
        return found

    def first(self, topic: comms.Topic):
        return self.until(lambda: self.all(topic), f'a message on {topic.name}')[0]

    def answer_to(self, sequence: int) -> AppliedAction | None:
        found = [a for a in self.all(comms.APPLIED_ACTION) if a.sequence == sequence]
        return found[-1] if found else None

    def send(self, values, sequence: int) -> None:
        self.action.publish(RobotAction(source='test', sequence=sequence, values=to_floats(values)))

    def ask(self, *values: float) -> AppliedAction:
        self.sequence += 1
        asked = [0.0]

        def answered() -> AppliedAction | None:
            if time.monotonic() > asked[0] + 1.0:
                asked[0] = time.monotonic()
                self.send(values, self.sequence)
            return self.answer_to(self.sequence)

        return self.until(answered, f'an answer to {values}')

    def call(self, service: comms.Service) -> Trigger.Response:
        client, answers = RetryingClient(qos.client(self.node, service), retry_after=5.0), []
        self.until(lambda: answers or client.request(Trigger.Request(), answers.append), f'an answer of {service.name}')
        return answers[0]

    def images(self) -> dict[int, np.ndarray]:
        return {to_nanoseconds(m.header.stamp): from_image(m) for m in self.all(comms.IMAGE)}

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


def start(**parameters) -> subprocess.Popen:
    arguments = [part for name, value in parameters.items() for part in ('-p', f'{name}:={value}')]
    command = [sys.executable, '-m', 'cls_sim.nodes.simulator', '--ros-args', *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def simulate():
    """Starts a simulator and a client; at the end the simulator must end in order, by either signal."""
    opened: list = []
    stop_by = signal.SIGINT

    def begin(**parameters) -> SimulatorClient:
        nonlocal stop_by
        lock_step = parameters.get('lock_step') == 'true'
        stop_by = signal.SIGTERM if lock_step else signal.SIGINT
        listener = SimulatorClient(lock_step)
        opened.extend([start(**parameters), listener])
        listener.first(comms.ROBOT_INFO)
        return listener

    yield begin
    process, listener = opened
    process.send_signal(stop_by)
    try:
        assert process.wait(10) == 0, process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()
        listener.close()


@pytest.fixture
def start_process():
    """Starts a simulator only, with given parameters."""
    return start
