"""Frames of a JetBot: decoded, refused, lost and found again; what the robot may not ask of the driver."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import socket
import struct
import threading
import time

import numpy as np
import pytest
import rpyc

from cls_common.driver.link import LinkError
from cls_common.errors import UserError
from cls_common.images import from_jpeg, to_jpeg
from cls_jetbot_driver.camera import decode, JetBotCamera
from cls_jetbot_driver.connection import Connection, MAX_ANSWER
from cls_jetbot_driver.fake_jetbot import FakeJetBot, SIDE
from cls_jetbot_driver.motion import Motors, STILL
from cls_perception.camera import CameraLostError
from cls_perception.camera_reader import CameraReader


@pytest.fixture
def robot() -> Iterator[FakeJetBot]:
    with FakeJetBot(timeout=5.0) as fake:
        yield fake


def camera_of(robot: FakeJetBot, timeout: float = 5.0) -> JetBotCamera:
    camera = JetBotCamera(('127.0.0.1', robot.port), frame_rate=100.0, timeout=timeout)
    camera.open()
    return camera


def test_frames_are_rgb_and_turn_with_the_motors(robot: FakeJetBot) -> None:
    camera = camera_of(robot)
    assert camera.grab()
    first = camera.retrieve()
    assert first is not None and first.shape == (SIDE, SIDE, 3)
    assert camera.grab()
    again = camera.retrieve()
    assert again is not None and np.abs(first.astype(int) - again).mean() < 5
    robot.set_motors(Motors(0.0, 0.3))
    deadline = time.monotonic() + 20
    while np.abs(first.astype(int) - robot.picture()).mean() < 10:
        assert time.monotonic() < deadline
    robot.set_motors(STILL)
    assert camera.grab()
    turned = camera.retrieve()
    assert turned is not None and np.abs(first.astype(int) - turned).mean() > 5
    camera.close()


@pytest.mark.parametrize(
    'frame',
    [
        None, 17, ['text'], '', 'not base64!', base64.b64encode(b'not a JPEG').decode(),
        base64.b64encode(to_jpeg(np.zeros((8, 8, 3), np.uint8))[:-20]).decode(),
    ],
)  # fmt: skip
def test_a_frame_that_is_none_is_damaged_and_named(robot: FakeJetBot, frame: object) -> None:
    robot.frame_fault = lambda: frame
    camera = camera_of(robot)
    assert camera.grab()
    assert camera.retrieve() is None
    assert camera.notes
    camera.close()


def test_decoded_frames_equal_those_of_the_jpeg() -> None:
    jpeg = to_jpeg(np.full((4, 6, 3), 90, np.uint8))
    image, problem = decode(base64.b64encode(jpeg).decode())
    assert not problem and image is not None
    assert np.array_equal(image, from_jpeg(jpeg))


def test_a_dropped_camera_is_found_again(robot: FakeJetBot) -> None:
    camera = camera_of(robot)
    arrived = threading.Event()
    reader = CameraReader(camera, time.time_ns, arrived.set)
    reader.start()
    assert arrived.wait(20)
    robot.wire.drop()
    deadline = time.monotonic() + 20
    while not reader.stream.lost:
        arrived.wait(0.01)
        assert time.monotonic() < deadline
    arrived.clear()
    assert arrived.wait(20)
    camera.abort()
    assert reader.stop()
    camera.close()


def test_a_wait_for_a_frame_can_be_ended_from_another_thread(robot: FakeJetBot) -> None:
    camera = camera_of(robot, timeout=60.0)
    robot.wire.holds_answers = True
    threading.Timer(0.05, camera.abort).start()
    begin = time.monotonic()
    with pytest.raises(CameraLostError, match='get_camera_frame'):
        camera.grab()
    assert time.monotonic() - begin < 20
    camera.close()


class Raw:
    """A server that sends given bytes to whatever connects and asks."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(self._answer)
            while connection.recv(1000):
                pass

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.mark.parametrize(
    'answer',
    [
        struct.pack('!LB', MAX_ANSWER + 1, 0),
        struct.pack('!LB', 10, 0) + b'torn',
        struct.pack('!LB', 3, 1) + b'abc\n',
        b'HTTP/1.1 400 Bad Request\r\n\r\n',
        b'\x00',
    ],
)
def test_what_is_no_answer_ends_in_time_and_in_one_line(answer: bytes) -> None:
    server = Raw(answer)
    begin = time.monotonic()
    connection = Connection(server.address, 0.2)
    with pytest.raises(LinkError, match='does not answer') as raised:
        connection.prepare('set_motors')
    assert '\n' not in str(raised.value)
    assert time.monotonic() - begin < 5
    connection.close()
    server.close()


@contextmanager
def serving(service: type[rpyc.Service]) -> Iterator[Connection]:
    """Serves another service than that of a JetBot, and connects to it."""
    server = rpyc.ThreadedServer(service, hostname='127.0.0.1', port=0, protocol_config={'allow_pickle': True})
    server.listener.listen()  # before its thread does: connections wait from now on
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    connection = Connection(('127.0.0.1', server.port), 10.0)
    yield connection
    connection.close()
    server.close()
    thread.join(10)


def test_the_robot_may_ask_the_driver_for_nothing() -> None:
    asked: list[Callable[[], object]] = []
    refused: list[str] = []

    class Curious(rpyc.Service):  # type: ignore[misc]
        def on_connect(self, connection: rpyc.Connection) -> None:
            asked[:] = [
                lambda: connection.root.get_service_name(),
                lambda: connection.root.__class__.__init__.__globals__,
                lambda: setattr(connection.root, 'name', 1),
                lambda: connection.sync_request(rpyc.core.consts.HANDLE_PICKLE, connection.root, 2),
            ]

        def exposed_set_motors(self, left: float, right: float) -> bool:
            for ask in asked:
                try:
                    ask()
                except Exception as error:
                    refused.append(type(error).__name__)
            return True

    with serving(Curious) as connection:
        connection.prepare('set_motors')
        assert connection.call('set_motors', 0.0, 0.0) is True
    assert len(refused) == 4, refused


def test_a_missing_method_is_named() -> None:
    with serving(rpyc.VoidService) as connection:
        assert not connection.offers('get_battery_voltage')
        with pytest.raises(UserError, match='does not answer set_motors'):
            connection.prepare('set_motors')
