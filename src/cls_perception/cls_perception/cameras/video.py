"""Video files, through OpenCV."""

from pathlib import Path
from typing import Any, Final

import cv2

from cls_common.errors import UserError
from cls_common.images import Image

from ..camera import Camera, CameraLostError
from ..settings import CameraSettings

# Hz: some files have no rate, or an invalid one such as 90000.
_UNKNOWN_RATE: Final = 25.0
_FASTEST: Final = 1000.0


class VideoCamera(Camera):
    """A video file, played at the times of its frames."""

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__(settings)
        self._path = Path(settings.source).expanduser()
        self._capture: Any = None

    @classmethod
    def accepts(cls, source: str) -> bool:
        return Path(source).expanduser().is_file()

    def open(self) -> None:
        self.close()
        if not self._path.is_file():
            raise UserError(f'video {self._path}', expected='a file', found='none', do='Check the path.')
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise UserError(f'video {self._path}', expected='a format that OpenCV reads', do='Convert it to MP4.')
        self._capture = capture
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.own_rate = rate if 0.0 < rate <= _FASTEST else _UNKNOWN_RATE
        self.frame_time = None

    def grab(self) -> bool:
        if self._capture is not None and self._capture.grab():
            self._read_time()
            return True
        if not self.settings.loop:
            return False
        # Reopened, not rewound: some formats can't seek, and a deleted file is detected.
        try:
            self.open()
        except UserError as error:
            raise CameraLostError(str(error)) from error
        if not self._capture.grab():
            raise CameraLostError(f'video {self._path} holds no frame')
        self._read_time()
        return True

    def retrieve(self) -> Image | None:
        done, bgr = self._capture.retrieve()
        if not done or bgr is None:
            return None
        image: Image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return self.fit(image)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _read_time(self) -> None:
        # Not from the frame rate: phones and screen recorders have variable rates.
        time = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0
        if self.frame_time is not None and not time > self.frame_time:
            # Some formats have no times.
            time = self.frame_time + 1.0 / self.own_rate
        self.frame_time = time


CAMERA = VideoCamera
