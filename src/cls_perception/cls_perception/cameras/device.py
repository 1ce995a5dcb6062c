"""Camera devices by index or path, through OpenCV (V4L2 on Linux)."""

from collections.abc import Callable
from pathlib import Path
import sys
from typing import Any, ClassVar, Final

import cv2

from cls_common.errors import UserError
from cls_common.images import Image

from ..camera import Camera, CameraLostError
from ..settings import CameraSettings

# V4L2's names for the menu of automatic exposure: 1 is manual, 3 is aperture priority.
_MANUAL: Final = 1.0
# Fixed properties: name, (property, value) that selects manual mode or None, property to keep.
_HELD: Final = (
    ('exposure', (cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL), cv2.CAP_PROP_EXPOSURE),
    ('gain', None, cv2.CAP_PROP_GAIN),
    ('white balance', (cv2.CAP_PROP_AUTO_WB, 0.0), cv2.CAP_PROP_WB_TEMPERATURE),
)


class DeviceCamera(Camera):
    """A camera device. Index 0 is /dev/video0.

    Reopened by its stable name below `links` if it has one: its device path may change.
    """

    is_live: ClassVar[bool] = True
    is_noiseless: ClassVar[bool] = False

    def __init__(
        self,
        settings: CameraSettings,
        open_capture: Callable[[str], Any] | None = None,
        links: Path = Path('/dev/v4l/by-id'),
    ) -> None:
        super().__init__(settings)
        self._open_capture = open_capture or _open_capture
        self._links = links
        self._stable_name = ''
        self._capture: Any = None
        self._held: dict[int, float] = {}  # values since warm-up, restored after the device was lost

    @classmethod
    def accepts(cls, source: str) -> bool:
        return source.isdecimal() or source.startswith('/dev/')

    def open(self) -> None:
        self.close()
        source = self._stable_name or self.settings.source
        capture = self._open_capture(source)
        if capture is None or not capture.isOpened():
            raise UserError(
                f'camera {self.settings.source!r} can not be opened',
                found=devices(),
                do='Plug it in, close other programs that use it, and check your permission (on Linux: group video).',
            )
        self._capture = capture
        self._stable_name = self._find_stable_name(source)
        self.notes = []
        self._request('width', cv2.CAP_PROP_FRAME_WIDTH, self.settings.width)
        self._request('height', cv2.CAP_PROP_FRAME_HEIGHT, self.settings.height)
        self._request('frame rate', cv2.CAP_PROP_FPS, self.settings.frame_rate)
        self.own_rate = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))
        if self._held:
            self.lock()

    def grab(self) -> bool:
        if self._capture is None or not self._capture.grab():
            raise CameraLostError(f'camera {self.label} delivers no more frames')
        return True

    def retrieve(self) -> Image | None:
        done, bgr = self._capture.retrieve()
        if not done or bgr is None:
            return None
        image: Image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return image

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def lock(self) -> bool:
        for name, automatic, kept in _HELD:
            value = self._held.setdefault(kept, float(self._capture.get(kept)))
            # Automatic mode off first: most drivers refuse the value otherwise.
            done = automatic is None or self._capture.set(*automatic)
            if not (self._capture.set(kept, value) and done):
                self.notes.append(f'the driver can not fix {name}')
        return True

    def _find_stable_name(self, source: str) -> str:
        device = Path(_path_of(source)).resolve()
        return next((str(link) for link in sorted(self._links.glob('*')) if link.resolve() == device), '')

    def _request(self, name: str, key: int, value: float) -> None:
        if not value:
            return
        self._capture.set(key, float(value))
        given = float(self._capture.get(key))
        if given != value:
            self.notes.append(f'{name} {value:g} requested, {given:g} set')


def devices() -> str:
    """Returns the existing devices as text."""
    found = sorted(str(path) for path in Path('/dev').glob('video*'))
    return 'devices ' + ', '.join(found) if found else 'no /dev/video*'


def _path_of(source: str) -> str:
    return f'/dev/video{int(source)}' if source.isdecimal() else source


def _open_capture(source: str) -> Any:
    if not sys.platform.startswith('linux'):
        return cv2.VideoCapture(int(source) if source.isdecimal() else source)
    path = _path_of(source)
    # OpenCV would print its own warnings about a missing device.
    return cv2.VideoCapture(str(Path(path).resolve()), cv2.CAP_V4L2) if Path(path).exists() else None


CAMERA = DeviceCamera
