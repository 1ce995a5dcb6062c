"""The camera of a JetBot as a source of images: base64 JPEGs over a connection of its own."""

import base64
import binascii
from typing import Final

from cls_common.driver.link import LinkError
from cls_common.errors import UserError
from cls_common.images import from_jpeg, Image
from cls_perception.camera import Camera, CameraLostError
from cls_perception.settings import CameraSettings

from .connection import Connection

_FRAME: Final = 'get_camera_frame'


class JetBotCamera(Camera):
    """Asks for one frame after another, at the rate of its reader."""

    # Requests are paced by the reader: without a pace they would fill the robot's network.
    is_live = False
    is_noiseless = False

    def __init__(self, address: tuple[str, int], *, frame_rate: float, timeout: float) -> None:
        source = f'{address[0]}:{address[1]}'
        super().__init__(CameraSettings(source=source, frame_rate=frame_rate, lock_exposure=False))
        self.own_rate = frame_rate
        self._address, self._timeout = address, timeout
        self._connection: Connection | None = None
        self._frame: object = None

    @classmethod
    def accepts(cls, source: str) -> bool:
        """Not found by `source`: its driver or a viewer makes it."""
        return False

    def open(self) -> None:
        self.close()
        self._connection = Connection(self._address, self._timeout)
        self._connection.prepare(_FRAME)

    def grab(self) -> bool:
        if self._connection is None:
            raise CameraLostError(f'the camera of the JetBot at {self.label} is not open')
        try:
            self._frame = self._connection.call(_FRAME)
        except LinkError as error:
            raise CameraLostError(str(error)) from error
        return True

    def retrieve(self) -> Image | None:
        image, problem = decode(self._frame)
        self.notes = [f'frames can not be read: {problem}'] if problem else []
        return image

    def abort(self) -> None:
        """Ends a wait for a frame, from any thread; the camera is lost."""
        if self._connection is not None:
            self._connection.abort()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def decode(frame: object) -> tuple[Image | None, str]:
    """Decodes an answer of the robot.

    Returns:
        uint8 (H, W, 3) RGB and no text, or None and the problem.
    """
    if type(frame) is not str and type(frame) is not bytes:
        return None, f'expected base64 text, found {type(frame).__name__}'
    try:
        return from_jpeg(base64.b64decode(frame, validate=True)), ''
    except (UserError, binascii.Error, ValueError) as error:
        return None, str(error)
