"""The contract of every source of images: a device, a video file, a folder."""

from abc import ABC, abstractmethod
from typing import ClassVar

import cv2
import numpy as np

from cls_common.images import Image

from .settings import CameraSettings


class CameraLostError(Exception):
    """The source was there and is gone: the cable, the file, the disk. It may come back."""


class Camera(ABC):
    """One source of images, used by one thread at a time.

    Attributes:
        label: what people call it.
        notes: what was asked for and could not be had, one line each.
        own_rate: frames a second that the source itself gives or was made for, Hz.
        frame_time: when the frame grabbed last is due, s from the start of a film; None: the source has no times.
        is_live: `grab` waits for the next frame; of other sources the reader keeps the pace.
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
        """Opens the source, also again after `close`; raises UserError where it is absent."""

    @abstractmethod
    def grab(self) -> bool:
        """Takes the next frame, undecoded; False at the end of a file that is not looped.

        Raises:
            CameraLostError: the source is gone.
        """

    @abstractmethod
    def retrieve(self) -> Image | None:
        """Decodes the frame grabbed last to uint8 (H, W, 3) RGB; None where that frame is damaged.

        Raises:
            CameraLostError: the source is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Releases the source; harmless when closed."""

    def lock(self) -> bool:
        """Holds exposure, gain and white balance as they are now; `notes` says what can't be held.

        Returns:
            whether this source has any of them.
        """
        return False

    def fit(self, image: Image) -> Image:
        """Resizes to the width and height asked for, where both are."""
        size = (self.settings.width, self.settings.height)
        if 0 in size or size == (image.shape[1], image.shape[0]):
            return image
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
