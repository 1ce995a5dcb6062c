"""Contract of image sources: devices, video files, folders."""

from abc import ABC, abstractmethod
from typing import ClassVar

import cv2
import numpy as np

from cls_common.images import Image

from .settings import CameraSettings


class CameraLostError(Exception):
    """The open source is no longer available (cable, file, disk); it may become available again."""


class Camera(ABC):
    """One source of images, used by one thread at a time.

    Attributes:
        label: name for messages.
        notes: requested settings that are not available, one line each.
        own_rate: frame rate of the source, Hz.
        frame_time: time of the last grabbed frame, s from the start of a video; None: the source has no times.
        is_live: `grab` waits for the next frame; for other sources the reader determines the rate.
        is_noiseless: equal frames may follow each other; from a sensor they are a fault.
    """

    is_live: ClassVar[bool] = False
    is_noiseless: ClassVar[bool] = True

    def __init__(self, settings: CameraSettings) -> None:
        self.settings = settings
        self.label = settings.source
        self.notes: list[str] = []
        self.own_rate = 0.0
        self.frame_time: float | None = None

    @classmethod
    @abstractmethod
    def accepts(cls, source: str) -> bool:
        """Whether `source` names one of these."""

    @abstractmethod
    def open(self) -> None:
        """Opens the source, also again after `close`; raises UserError if it is not available."""

    @abstractmethod
    def grab(self) -> bool:
        """Takes the next frame, undecoded; False at the end of a file that is not looped.

        Raises:
            CameraLostError: the source is no longer available.
        """

    @abstractmethod
    def retrieve(self) -> Image | None:
        """Decodes the last grabbed frame to uint8 (H, W, 3) RGB; None if it is damaged.

        Raises:
            CameraLostError: the source is no longer available.
        """

    @abstractmethod
    def close(self) -> None:
        """Releases the source; may be called twice."""

    def lock(self) -> bool:
        """Fixes exposure, gain and white balance at their current values; `notes` names those that can't be fixed.

        Returns:
            whether this source has any of them.
        """
        return False

    def fit(self, image: Image) -> Image:
        """Resizes uint8 (H, W, 3) to the configured width and height, if both are set."""
        size = (self.settings.width, self.settings.height)
        if 0 in size or size == (image.shape[1], image.shape[0]):
            return image
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
