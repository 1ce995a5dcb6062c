"""The recorder as a process in a real graph: all messages are in the bag, however it ends."""

import contextlib
from pathlib import Path
import signal
import struct
import subprocess
import sys
import time

from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader
import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from std_msgs.msg import UInt64
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_robot_info, to_time
from cls_common.nodes.retrying_client import RetryingClient
from cls_common.robot import Channel as ActionChannel
from cls_common.robot import Kind, RobotInfo
from cls_interfaces.msg import AppliedAction, LearnerStatus, Observation, RecorderStatus
from cls_interfaces.srv import GetEncoder, StartRecording
from cls_recording.bag import METADATA, storage_files
from cls_recording.reader import SessionReader
from cls_recording.repair import repair

DEADLINE = 60.0
ROBOT = RobotInfo('twin', ('state',), (ActionChannel('pan', Kind.RELATIVE, 'deg', -1.0, 1.0),))


class Graph:
    """A robot, a learner and an encoder in this process, and the recorder's status."""

    def __init__(self, namespace: str = '') -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('graph', context=self.context, namespace=namespace)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.status: RecorderStatus | None = None
        qos.subscription(self.node, comms.RECORDER_STATUS, self._on_status)
        observation = comms.Topic('observation/state', 'cls_interfaces/msg/Observation', comms.STATE, ())
        topics = (comms.APPLIED_ACTION, comms.ROBOT_INFO, comms.FAST_STATUS, observation)
        self.publishers = {topic.name: qos.publisher(self.node, topic) for topic in topics}
        self.node.create_service(GetEncoder, comms.GET_ENCODER.name, self._on_get_encoder)
        self.sent = 0

    def _on_status(self, message: RecorderStatus) -> None:
        self.status = message

    def _on_get_encoder(self, request, response):
        if not request.with_weights:
            response.encoder_id, response.config, response.size = 'an_encoder_id', '{"name": "none"}', 3
        return response

    def until(self, condition, what):
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            assert time.monotonic() < end, f'{what} did not happen in {DEADLINE} s: {self.status}'
            self.executor.spin_once(timeout_sec=0.02)
        return found

    def publish_robot_info(self) -> None:
        self.publishers['robot/info'].publish(to_robot_info(ROBOT, to_time(1)))

    def publish_actions(self, count: int = 1) -> None:
        for _ in range(count):
            self.sent += 1
            self.publishers['robot/applied_action'].publish(AppliedAction(source='test', sequence=self.sent))

    def await_subscriptions(self, *names: str) -> None:
        # Matched, not only discovered: messages before that are not received.
        def is_subscribed(name: str) -> bool:
            own, known = self.publishers.get(name), self.node.count_subscribers(name)
            return self.count_recorders(name) > 0 and (own is None or own.get_subscription_count() >= known)

        self.until(lambda: all(map(is_subscribed, names)), f'listening to {names}')

    def count_recorders(self, name: str) -> int:
        """Number of recorders subscribed; other tests of this process may have left subscriptions."""
        ends = self.node.get_subscriptions_info_by_topic(self.node.resolve_topic_name(name))
        return sum(end.node_name == 'recorder' for end in ends)

    def await_synced(self) -> RecorderStatus:
        count = self.sent
        self.until(lambda: self.status and self.status.recording and self.status.synced >= count, 'a sync')
        return self.status

    def call(self, service: comms.Service, request):
        # Repeated only where the first request was lost: a second start finds the first session.
        requests, answers = RetryingClient(qos.client(self.node, service), retry_after=30.0), []
        self.until(lambda: answers or requests.request(request, answers.append), f'an answer of {service.name}')
        return answers[0]

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def graph():
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture
def record(tmp_path):
    """Starts recorder processes with given parameters; ends all of them."""
    started = []

    def start(**parameters) -> subprocess.Popen:
        values = {'sessions_dir': tmp_path / 's', 'sync_period': 0.1, **parameters}
        arguments = [part for name, value in values.items() for part in ('-p', f'{name}:={value}')]
        command = [sys.executable, '-m', 'cls_recording.nodes.recorder', '--ros-args', *arguments]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        # In order if possible: a killed one seems alive for 20 s.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        process.stderr.close()


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 0


def sequences(session: Path) -> list[int]:
    with SessionReader(session) as reader:
        return [event.message.sequence for event in reader.events(['robot/applied_action'])]


def test_all_messages_are_recorded_unchanged_and_the_metadata_name_the_robot(graph, record):
    process = record(name='first')
    graph.await_subscriptions('robot/applied_action')
    graph.publish_actions(50)  # nobody said yet which robot this is
    graph.publish_robot_info()
    status = LearnerStatus(node='fast_learner', model='m', run_id='r', config_sha256='c' * 64)
    graph.publishers['fast_learner/status'].publish(status)
    graph.await_subscriptions('observation/state')
    graph.publishers['observation/state'].publish(Observation(modality='state', data=[1.0, 2.0]))
    graph.publish_actions(950)
    said = graph.await_synced()
    assert Path(said.session).name == 'first' and said.lost == said.dropped == 0 and said.fault == ''
    assert {'/robot/info', '/experience', '/observation/state'} <= set(said.topics)
    refused = graph.call(comms.START_RECORDING, StartRecording.Request())
    assert not refused.success and said.session in refused.message
    session = Path(said.session)
    graph.until(lambda: 'an_encoder_id' in (session / METADATA).read_text(), 'an answer of the encoder')
    end(process)
    assert sequences(session) == list(range(1, 1001))
    with SessionReader(session) as reader:
        info = reader.info
        assert info.robot == ROBOT and info.total_steps == 1000
        assert (info.model, info.run_id, info.config_sha256) == ('m', 'r', 'c' * 64)
        assert info.encoder == {'name': 'none', 'id': 'an_encoder_id', 'size': 3, 'version': 0}
        assert [list(event.message.data) for event in reader.events(['observation/state'])] == [[1.0, 2.0]]
    with AnyReader([session]) as reader:
        latched = next(c for c in reader.connections if c.topic == '/robot/info')
        assert latched.ext.offered_qos_profiles[0].durability.name == 'TRANSIENT_LOCAL'


def test_started_stopped_and_started_again_by_service(graph, record):
    process = record(autostart='false')
    graph.publish_robot_info()
    graph.until(lambda: graph.status, 'a status')
    assert not graph.status.recording and not graph.call(comms.STOP_RECORDING, Trigger.Request()).success
    # Without subscriptions the robot compresses no images. A killed recorder stays in the graph for a while.
    graph.until(lambda: not graph.count_recorders('camera/image_raw/compressed'), 'nothing listened to')
    folders = []
    for name in ('one', 'two'):
        # robot/info may arrive only now; then its folder is created a moment later.
        answer = graph.call(comms.START_RECORDING, StartRecording.Request(name=name))
        assert answer.success, answer.message
        graph.await_subscriptions('robot/applied_action')
        before = graph.sent
        graph.publish_actions(20)
        graph.until(lambda: graph.status.recording and graph.status.synced >= 20, 'a sync')
        stopped = graph.call(comms.STOP_RECORDING, Trigger.Request())
        assert stopped.success and stopped.message.endswith(f'/twin/{name}')
        assert sequences(Path(stopped.message)) == list(range(before + 1, before + 21))
        graph.until(lambda: not graph.status.recording, 'the end')
        folders.append(stopped.message)
    for request, reason in (
        (StartRecording.Request(name='one'), 'new name'),
        (StartRecording.Request(name='../x'), 'letters'),
    ):
        answer = graph.call(comms.START_RECORDING, request)
        assert not answer.success and reason in answer.message and '\n' not in answer.message
    end(process)
    assert len(set(folders)) == 2


def test_a_stop_by_service_keeps_what_had_arrived(graph, record):
    process = record()
    graph.publish_robot_info()
    graph.await_subscriptions('robot/applied_action')
    client = qos.client(graph.node, comms.STOP_RECORDING)
    graph.until(client.service_is_ready, 'the service')
    graph.publish_actions()
    graph.await_synced()
    process.send_signal(signal.SIGSTOP)  # a busy machine: messages and request wait together
    graph.publish_actions(500)
    answer = client.call_async(Trigger.Request())
    process.send_signal(signal.SIGCONT)
    graph.until(answer.done, 'an answer')
    assert answer.result().success
    assert sequences(Path(answer.result().message)) == list(range(1, 502))
    end(process)


def test_a_recorder_that_ends_with_its_graph_records_what_others_publish_last(graph, record):
    process = record()
    graph.publish_robot_info()
    graph.await_subscriptions('robot/applied_action')
    graph.publish_actions()
    session = Path(graph.await_synced().session)
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    graph.publish_actions(500)
    process.send_signal(signal.SIGCONT)
    # The recorder has seen its signal when it takes messages again.
    graph.until(lambda: graph.status.messages > 200, 'recording after the signal')
    graph.publish_actions(500)
    graph.publishers['robot/applied_action'].wait_for_all_acked(Duration(seconds=DEADLINE))
    graph.close()
    assert process.wait(DEADLINE) == 0
    assert sequences(session) == list(range(1, 1002))


def test_acknowledged_messages_survive_sigkill(graph, record):
    process = record()
    graph.publish_robot_info()
    graph.await_subscriptions('robot/applied_action')
    graph.until(lambda: graph.publish_actions(3) or (graph.status and graph.status.synced > 200), 'two hundred synced')
    acknowledged, session = graph.status.synced, Path(graph.status.session)
    process.kill()
    process.wait()
    found = 0
    for name in storage_files(session):
        with (session / name).open('rb') as stream, contextlib.suppress(McapError):
            for record_ in StreamReader(stream).records:
                found += isinstance(record_, Message)
                assert not isinstance(record_, Channel) or record_.message_encoding == 'cdr'
    assert found >= acknowledged
    repair(session)
    heard = sequences(session)
    assert heard == list(range(heard[0], heard[-1] + 1))
    with SessionReader(session) as reader:
        assert sum(topic.count for topic in reader.topics.values()) >= acknowledged
        assert reader.info.robot == ROBOT


def test_other_topics_are_found_when_they_appear_reliable_or_not(graph, record):
    process = record(topics='numbers,/elsewhere/numbers,robot/info')
    graph.publish_robot_info()
    graph.until(lambda: graph.status and graph.status.recording, 'recording')
    assert '/numbers' not in graph.status.topics
    opened = [
        graph.node.create_publisher(UInt64, 'numbers', 10),
        graph.node.create_publisher(
            UInt64, '/elsewhere/numbers', QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        ),
    ]
    graph.await_subscriptions('numbers', '/elsewhere/numbers')
    graph.until(lambda: all(p.get_subscription_count() for p in opened), 'a match')
    for publisher in opened:
        publisher.publish(UInt64(data=7))
    graph.until(lambda: graph.status.synced >= 3, 'a sync')
    session = Path(graph.status.session)
    end(process)
    with AnyReader([session]) as reader:
        heard = {
            c.topic: struct.unpack_from('<Q', data, 4)[0] for c, _, data in reader.messages() if 'numbers' in c.topic
        }
        assert heard == {'/numbers': 7, '/elsewhere/numbers': 7}
        assert {c.msgtype for c in reader.connections} == {'std_msgs/msg/UInt64', 'cls_interfaces/msg/RobotInfo'}


def test_a_failed_disk_is_a_fault_in_the_status_and_the_node_continues(graph, record, tmp_path):
    (tmp_path / 'file').write_text('no folder')
    process = record(sessions_dir=tmp_path / 'file')
    graph.publish_robot_info()
    graph.until(lambda: graph.status and graph.status.fault, 'the fault')
    assert not graph.status.recording and 'can not be written' in graph.status.fault
    graph.until(lambda: not graph.count_recorders('robot/applied_action'), 'nothing listened to')
    assert 'can not be written' in graph.call(comms.START_RECORDING, StartRecording.Request()).message
    assert process.poll() is None
    (tmp_path / 'file').unlink()
    assert graph.call(comms.START_RECORDING, StartRecording.Request()).success
    end(process)
