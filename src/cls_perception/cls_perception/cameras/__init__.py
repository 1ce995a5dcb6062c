"""Image sources, one file each, chosen by the parameter `source`: each file defines CAMERA."""

import importlib
import pkgutil
from typing import Final

from cls_common.errors import UserError

from ..camera import Camera
from ..settings import CameraSettings
from .device import devices

KINDS: Final = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))

__all__ = ['KINDS', 'Camera', 'make']


def make(settings: CameraSettings) -> Camera:
    """Returns the unopened source for `settings.source`; raises UserError if there is none."""
    for kind in KINDS:
        camera: type[Camera] = importlib.import_module(f'{__name__}.{kind}').CAMERA
        if camera.accepts(settings.source):
            return camera(settings)
    raise UserError(
        f'camera {settings.source!r}',
        expected='an index such as 0, a device below /dev, a video file or a folder of images',
        found='nothing of that name, and ' + devices(),
        do='Give one of these as `source`.',
    )
