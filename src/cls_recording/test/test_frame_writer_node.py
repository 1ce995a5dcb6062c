"""frame_writer as a process: what it saves live equals what an export of the same session gives."""

import contextlib
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CompressedImage

from cls_common import comms
from cls_common.images import to_jpeg
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_bytes, to_time
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.transition import Experience, Transition
from cls_recording.definitions import installed
from cls_recording.export.frame_files import export_frames, FramesSummary

DEADLINE = 60.0
STEP_NS = 500_000_000
FIRST = 40  # the model has this many steps already


def picture(number: int):
    image = np.full((48, 64, 3), (30 + 9 * number, 200 - 9 * number, 60), np.uint8)
    image[:, : 4 * number] = 255
    return image


def experience(number: int) -> Experience:
    """Step `number` from image `number` to the next one."""
    action = np.array([number, -0.5, 2.0], np.float32)
    step = Transition.of_embeddings(
        z=np.zeros(4, np.float32), z_next=np.ones(4, np.float32), stamp_z=STEP_NS * (number + 1),
        stamp_next=STEP_NS * (number + 2), action_commanded=action, action_applied=action, joints=np.zeros(2),
        joints_next=np.zeros(2), boundary=number == 0,
    )  # fmt: skip
    return Experience(transition=step, sequence=FIRST + number + 1, episode=0)


class Graph:
    """A robot and a learner."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('fast_learner', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.image = qos.publisher(self.node, comms.COMPRESSED)
        self.experience = qos.publisher(self.node, comms.EXPERIENCE)
        self.sent = []

    def until(self, condition, what):
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f'{what} did not happen in {DEADLINE} s'
            self.executor.spin_once(timeout_sec=0.02)

    def send(self, publisher, topic, message) -> None:
        publisher.publish(message)
        self.sent.append((topic, bytes(serialize_message(message))))

    def send_image(self, number: int) -> None:
        image = CompressedImage(format='jpeg', data=to_bytes(to_jpeg(picture(number))))
        image.header.stamp = to_time(STEP_NS * (number + 1))
        self.send(self.image, comms.COMPRESSED, image)

    def send_experience(self, number: int) -> None:
        self.send(self.experience, comms.EXPERIENCE, to_experience_message(experience(number), 'run', 'cls'))

    def record(self, path: Path) -> Path:
        store = installed()
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {
                topic.name: writer.add_connection('/' + topic.name, topic.type, typestore=store)
                for topic in (comms.COMPRESSED, comms.EXPERIENCE)
            }
            for time_ns, (topic, data) in enumerate(self.sent, 1_700_000_000_000_000_000):
                writer.write(connections[topic.name], time_ns, data)
        return path

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
def writer(graph, tmp_path):
    """frame_writer, matched with the graph."""
    command = [sys.executable, '-m', 'cls_recording.nodes.frame_writer', '--ros-args']
    command += ['-p', f'folder:={tmp_path / "m" / "frames"}']
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    ends = (graph.image, graph.experience)
    graph.until(lambda: all(end.get_subscription_count() for end in ends), 'listening')
    yield process
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    process.wait()
    process.stderr.close()


def content(folder: Path):
    """Returns the images by name, and the rows of the index without their times."""
    images = {path.name: path.read_bytes() for path in sorted(folder.glob('*.jpg'))}
    return images, [line.rpartition(',')[0] for line in (folder / 'index.csv').read_text().splitlines()]


def test_it_saves_every_step_up_to_the_end_of_the_learner_as_an_export_does(graph, writer, tmp_path):
    folder = tmp_path / 'm' / 'frames'
    graph.send_image(0)
    for number in range(3):
        graph.send_image(number + 1)
        graph.send_experience(number)
    index = folder / 'index.csv'
    graph.until(lambda: index.exists() and len(index.read_text().splitlines()) == 4, 'three steps')
    # A Ctrl-C reaches all processes at once; the learner still closes a step.
    writer.send_signal(signal.SIGINT)
    graph.send_experience(3)  # before its image
    graph.send_image(4)
    graph.until(lambda: len(index.read_text().splitlines()) == 5, 'the last step')
    for publisher in (graph.image, graph.experience):
        graph.node.destroy_publisher(publisher)
    graph.until(lambda: writer.poll() is not None, 'the end')
    assert writer.returncode == 0
    assert 'images of 4 steps, 0 without' in writer.stderr.read()
    images, rows = content(folder)
    assert rows == ['step,action_d1,action_d2,action_d3'] + [f'{FIRST + n},{n}.0000,-0.5000,2.0000' for n in range(4)]
    assert images['step_000040_after.jpg'] == images['step_000041_before.jpg'] != images['step_000041_after.jpg']
    assert export_frames([graph.record(tmp_path / 'session')], tmp_path / 'exported') == FramesSummary(4, 0)
    assert content(tmp_path / 'exported') == (images, rows)


def test_a_folder_that_can_not_be_written_is_reported_and_ends_no_graph(graph, writer, tmp_path):
    (tmp_path / 'm').write_text('a file')
    graph.send_image(0)
    graph.send_image(1)
    graph.send_experience(0)
    line = ''
    while 'not written' not in line:
        line = writer.stderr.readline()
        assert line, 'it ended'
    (tmp_path / 'm').unlink()
    graph.send_image(2)
    graph.send_experience(1)
    graph.until(lambda: (tmp_path / 'm' / 'frames' / 'index.csv').exists(), 'a step that can be written')
    assert writer.poll() is None
