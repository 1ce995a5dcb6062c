"""Folders of images, in order of their names."""

from pathlib import Path
from typing import Final

from cls_common.errors import UserError
from cls_common.images import from_jpeg, Image

from ..camera import Camera, CameraLostError
from ..settings import CameraSettings

_SUFFIXES: Final = ('.jpg', '.jpeg', '.png', '.bmp')
_OWN_RATE: Final = 10.0  # Hz, about a robot's step rate: images have no times


class FolderCamera(Camera):
    """The images of a folder, listed again at each repetition.

    Other files are ignored; unreadable images are skipped, and noted.
    """

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__(settings)
        self._folder = Path(settings.source).expanduser()
        self._remaining: list[Path] = []
        self._path = Path()
        self._damaged: dict[Path, str] = {}
        self.own_rate = _OWN_RATE

    @classmethod
    def accepts(cls, source: str) -> bool:
        # An empty path would be the working directory.
        return source != '' and Path(source).expanduser().is_dir()

    def open(self) -> None:
        try:
            files = [path for path in self._folder.iterdir() if path.suffix.lower() in _SUFFIXES]
        except OSError as error:
            raise UserError(f'folder {self._folder}', expected='a folder', found=str(error)) from error
        if not files:
            raise UserError(f'folder {self._folder}', expected='images: ' + ', '.join(_SUFFIXES), found='none')
        self._remaining = sorted(files, reverse=True)

    def grab(self) -> bool:
        if not self._remaining:
            if not self.settings.loop:
                return False
            try:
                self.open()
            except UserError as error:
                raise CameraLostError(str(error)) from error
        self._path = self._remaining.pop()
        return True

    def retrieve(self) -> Image | None:
        image = None
        try:
            # Reading a named pipe would block forever.
            if self._path.exists() and not self._path.is_file():
                raise UserError('no file')
            image = self.fit(from_jpeg(self._path.read_bytes()))
            self._damaged.pop(self._path, None)
        except (OSError, UserError) as error:
            if not self._folder.is_dir():
                raise CameraLostError(f'folder {self._folder} no longer exists') from error
            self._damaged[self._path] = str(error)
        self.notes = []
        for path, reason in list(self._damaged.items())[:1]:
            self.notes = [f'{len(self._damaged)} images can not be read, such as {path.name}: {reason}']
        return image

    def close(self) -> None:
        self._remaining = []


CAMERA = FolderCamera
