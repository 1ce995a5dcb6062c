"""The camera node as a process, and its lifecycle transitions."""

from pathlib import Path
import signal
import threading

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from cls_common import comms, images
from cls_common.nodes import conversions, qos
from cls_perception import cameras
from cls_perception.cameras.device import DeviceCamera
from cls_perception.nodes.camera import CameraNode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / 'images'
    path.mkdir()
    for number in range(3):
        image = np.full((40, 60, 3), (10, 20, 60 * number + 30), np.uint8)  # BGR: red counts
        cv2.imwrite(str(path / f'{number}.png'), image)
    return path


class CameraTopics:
    """Collects the messages of a camera."""

    def __init__(self, graph, compressed=True):
        self.images, self.infos, self.jpegs, self.health = [], [], [], []
        qos.subscription(graph.node, comms.IMAGE, self.images.append)
        qos.subscription(graph.node, comms.CAMERA_INFO, self.infos.append)
        qos.subscription(graph.node, comms.DIAGNOSTICS, self.health.append)
        if compressed:
            qos.subscription(graph.node, comms.COMPRESSED, self.jpegs.append)

    def level(self):
        return self.health[-1].status[0].level if self.health else None


def test_a_folder_becomes_camera_topics(graph, folder):
    watch = CameraTopics(graph)
    process = graph.start('camera', source=str(folder), frame_rate=40.0)
    graph.until(lambda: len(watch.images) > 8 and watch.infos and watch.jpegs and watch.health)
    rgb = [conversions.from_image(message) for message in watch.images]
    assert {image.shape for image in rgb} == {(40, 60, 3)}
    assert {int(image[0, 0, 0]) for image in rgb} == {30, 90, 150}
    assert {m.header.frame_id for m in watch.images} == {'camera_link_optical'}
    stamps = [conversions.to_nanoseconds(m.header.stamp) for m in watch.images]
    assert stamps == sorted(set(stamps))
    assert 0 <= graph.node.get_clock().now().nanoseconds - stamps[-1] < 5e9
    info = watch.infos[0]
    assert (info.width, info.height, info.header.frame_id) == (60, 40, 'camera_link_optical')
    by_stamp = dict(zip(stamps, rgb))
    jpeg = next(m for m in watch.jpegs if conversions.to_nanoseconds(m.header.stamp) in by_stamp)
    decoded = images.from_jpeg(bytes(jpeg.data))
    assert np.abs(decoded.astype(int) - by_stamp[conversions.to_nanoseconds(jpeg.header.stamp)]).max() < 12
    assert watch.health[0].status[0].name == 'camera: stream'

    # Lost while running: a reported fault, not an end; available again: no fault.
    away = folder.with_name('away')
    folder.rename(away)
    graph.until(lambda: watch.level() == DiagnosticStatus.ERROR)
    assert str(folder) in watch.health[-1].status[0].message
    watch.images.clear()
    away.rename(folder)
    graph.until(lambda: watch.level() == DiagnosticStatus.OK and watch.images)
    process.send_signal(signal.SIGTERM)
    assert process.wait(40.0) == 0


def test_a_missing_camera_fails_the_start_with_one_clear_line(graph):
    process = graph.start('camera', source='/dev/video97')
    graph.until(lambda: process.poll() is not None)
    assert process.returncode == 2
    assert "error: camera '/dev/video97' can not be opened" in graph.log()


def test_an_unknown_parameter_ends_the_start(graph):
    process = graph.start('camera', sauce='0')
    graph.until(lambda: process.poll() is not None)
    assert process.returncode == 2
    assert "unknown parameter 'sauce'" in graph.log()


@pytest.fixture
def camera(folder):
    """A camera node in this process, not yet configured."""
    rclpy.init(args=['--ros-args', '-p', f'source:={folder}', '-p', 'frame_rate:=50.0', '-p', 'autostart:=false'])
    node = CameraNode()
    yield node
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()


def test_it_can_be_stopped_and_started_by_a_lifecycle_manager(graph, camera):
    executor = SingleThreadedExecutor()
    executor.add_node(camera)
    watch = CameraTopics(graph, compressed=False)
    done = TransitionCallbackReturn.SUCCESS
    for _ in range(2):
        assert camera.trigger_configure() is done
        for _ in range(2):
            assert camera.trigger_activate() is done
            watch.images.clear()
            graph.until(lambda: len(watch.images) > 2, each=lambda: executor.spin_once(timeout_sec=0.01))
            assert camera.trigger_deactivate() is done
        assert camera.trigger_cleanup() is done
    assert not list(camera.guards)
    assert not threads_named('camera')
    executor.shutdown()


class FrozenDriver:
    """Replaces OpenCV's capture by a device that repeats one frame."""

    def __init__(self):
        self.is_frozen, self.noise = False, np.random.default_rng(0)
        self.image = self.noise.integers(0, 255, (40, 60, 3), np.uint8)

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def get(self, key):
        return 30.0

    def set(self, key, value):
        return True

    def grab(self):
        threading.Event().wait(0.005)
        return True

    def retrieve(self):
        if not self.is_frozen:
            self.image = self.noise.integers(0, 255, (40, 60, 3), np.uint8)
        return True, self.image.copy()

    def release(self):
        pass


def test_a_camera_that_repeats_its_last_frame_is_reported_and_not_published(graph, monkeypatch):
    driver = FrozenDriver()
    monkeypatch.setattr(cameras, 'make', lambda settings: DeviceCamera(settings, lambda source: driver))
    rclpy.init(args=['--ros-args', '-p', 'frame_rate:=0.0'])
    node, executor = CameraNode(), SingleThreadedExecutor()
    executor.add_node(node)
    watch = CameraTopics(graph, compressed=False)

    def until(condition):
        graph.until(condition, each=lambda: executor.spin_once(timeout_sec=0.01))

    try:
        until(lambda: len(watch.images) > 2 and watch.level() == DiagnosticStatus.OK)
        driver.is_frozen = True
        until(lambda: watch.level() == DiagnosticStatus.ERROR)
        assert 'same frame' in watch.health[-1].status[0].message
        seen, reports = len(watch.images), len(watch.health)
        until(lambda: len(watch.health) > reports + 1)
        assert len(watch.images) == seen
        driver.is_frozen = False
        until(lambda: len(watch.images) > seen and watch.level() == DiagnosticStatus.OK)
    finally:
        node.close()
        node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()


def threads_named(name):
    return [thread for thread in threading.enumerate() if thread.name == name]
