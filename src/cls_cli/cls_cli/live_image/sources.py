"""Where live images come from: the running graph, or a camera directly."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError

if TYPE_CHECKING:
    from cls_common.images import Image
    from cls_perception.camera import Camera

JETBOT = 'jetbot'
# s without an answer of a JetBot.
_TIMEOUT = 5.0


@contextmanager
def graph(namespace: str) -> 'Iterator[Callable[[], Image | None]]':
    """Yields a function that returns the newest image of the running graph."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as client:
        client.watch_camera()
        yield client.picture


@contextmanager
def camera(source: str, rate: float) -> 'Iterator[Callable[[], Image | None]]':
    """Yields a function that returns the newest image of a camera, which no other program may use.

    Raises:
        UserError: there is no such camera, or it can't be opened.
    """
    from cls_perception.camera_reader import CameraReader

    opened = _make(source, rate)
    opened.open()
    reader = CameraReader(opened, time.time_ns, lambda: None)
    reader.start()
    image: Image | None = None

    def newest() -> 'Image | None':
        nonlocal image
        frame = reader.take()
        image = frame.image if frame is not None else image
        problem = reader.stream.problem
        if problem and frame is None:
            raise UserError(problem)
        return image

    try:
        yield newest
    finally:
        if hasattr(opened, 'abort'):
            opened.abort()
        if reader.stop():
            opened.close()


def _make(source: str, rate: float) -> 'Camera':
    name, _, place = source.partition(':')
    if name == JETBOT:
        from cls_jetbot_driver.camera import JetBotCamera
        from cls_jetbot_driver.hosts import find_address
        from cls_jetbot_driver.settings import PORT

        host, _, port = place.partition(':')
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise UserError(f'camera {source!r}', expected=f'{JETBOT}, {JETBOT}:HOST or {JETBOT}:HOST:PORT')
        host = host or '127.0.0.1'
        # Typed by the user, and only asked for images.
        return JetBotCamera(find_address(host, int(port or PORT), [host]), frame_rate=rate, timeout=_TIMEOUT)
    from cls_perception import cameras
    from cls_perception.settings import CameraSettings

    return cameras.make(CameraSettings(source=source, frame_rate=rate))
