"""Folders of images, in the order of their names."""

from pathlib import Path
from typing import Final

from cls_common.errors import UserError
from cls_common.images import from_jpeg, Image

from ..camera import Camera, CameraLostError
from ..settings import CameraSettings

_SUFFIXES: Final = ('.jpg', '.jpeg', '.png', '.bmp')
_OWN_RATE: Final = 10.0  # Hz, about a robot's step rate: images have no time of their own


class FolderCamera(Camera):
    """The images of a folder, listed anew at each turn; other files in it are ignored."""

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__(settings)
        self._folder = Path(settings.source).expanduser()
        self._coming: list[Path] = []
        self._data = b''
        self.own_rate = _OWN_RATE

    @classmethod
    def accepts(cls, source: str) -> bool:
        # An empty path would be the folder that the process happens to run in.
        return source != '' and Path(source).expanduser().is_dir()

    def open(self) -> None:
        try:
            files = [path for path in self._folder.iterdir() if path.suffix.lower() in _SUFFIXES]
        except OSError as error:
            raise UserError(f'folder {self._folder}', expected='a folder', found=str(error)) from error
        if not files:
            raise UserError(f'folder {self._folder}', expected='images: ' + ', '.join(_SUFFIXES), found='none')
        self._coming = sorted(files, reverse=True)

    def grab(self) -> bool:
        try:
            if not self._coming:
                if not self.settings.loop:
                    return False
                self.open()
            self._data = self._coming.pop().read_bytes()
        except (OSError, UserError) as error:
            raise CameraLostError(str(error)) from error
        return True

    def retrieve(self) -> Image | None:
        try:
            return self.fit(from_jpeg(self._data))
        except UserError:
            return None

    def close(self) -> None:
        self._coming = []


CAMERA = FolderCamera
