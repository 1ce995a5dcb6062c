"""Images of steps as files: what the camera saw before and after each, and an index. No ROS here."""

from collections import deque, OrderedDict
from collections.abc import Callable, Sequence
import csv
from datetime import datetime
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_common.images import Image, to_jpeg
from cls_common.stamps import NS
from cls_common.transition import EMBEDDING, Experience, Observation

T = TypeVar('T')

JPEG_QUALITY = 85
# Images that wait for their step, and steps for their images: 3 s of a camera of 30 Hz.
HELD = 90


class FrameFolder:
    """`step_000000_before.jpg`, `step_000000_after.jpg` and `index.csv`; an existing folder is continued.

    Images appear whole or not at all, and before their row of the index.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: TextIO | None = None

    def write(self, step: int, action: Sequence[float], before: Image, after: Image, received: datetime) -> None:
        """Writes one step; the folder is made with the first.

        Args:
            step: number from 0.
            action: as applied, one value for each channel, robot units.
            before, after: uint8 (H, W, 3) RGB.
            received: when `after` arrived.

        Raises:
            OSError: it could not be written.
        """
        if self._index is None:
            self._index = self._open(len(action))
        for when, image in (('before', before), ('after', after)):
            # Not durable: a sync of each file would compete with the journal of the model.
            path = self._folder / f'step_{step:06d}_{when}.jpg'
            atomic_file.write_bytes(path, to_jpeg(image, JPEG_QUALITY), durable=False)
        row = [step, *(f'{value:.4f}' for value in action), received.strftime('%Y-%m-%d %H:%M:%S')]
        csv.writer(self._index).writerow(row)
        self._index.flush()

    def _open(self, channels: int) -> TextIO:
        """Opens the index at its end, without a row that a loss of power cut off."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / 'index.csv'
        header = ','.join(['step', *(f'action_d{n + 1}' for n in range(channels)), 'timestamp']).encode() + b'\r\n'
        found = path.read_bytes() if path.exists() else b''
        whole = found[: found.rfind(b'\n') + 1]
        if whole and not whole.startswith(header):
            # Of a version that listed two channels of every robot.
            path.replace(path.with_name('index_old.csv'))
            whole = b''
        if not whole or whole != found:
            atomic_file.write_bytes(path, whole or header)
        return path.open('a', newline='', encoding='utf-8')

    def close(self) -> None:
        """Closes the index."""
        if self._index is not None:
            self._index.close()


class StepFrames(Generic[T]):
    """Writes the two images whose stamps a step names; images and steps may arrive in any order.

    Args:
        folder: see `FrameFolder`.
        to_rgb: converts a held image to uint8 (H, W, 3) RGB; called only for images that are written.

    Attributes:
        written: steps so far.
        missing: steps of which an image did not arrive, can't be decoded or could not be written.
    """

    def __init__(self, folder: Path, to_rgb: Callable[[T], Image]) -> None:
        self._files = FrameFolder(folder)
        self._to_rgb = to_rgb
        self._images: OrderedDict[int, tuple[T, int]] = OrderedDict()
        self._waiting: deque[tuple[Experience, int]] = deque()
        self._count = 0
        self.written = self.missing = 0

    def add_image(self, stamp: int, image: T, received_ns: int) -> None:
        """Takes an image with its stamp and its time of arrival, ns; raises OSError as `FrameFolder.write`."""
        self._images.pop(stamp, None)
        self._images[stamp] = image, received_ns
        self._count += 1
        if len(self._images) > HELD:
            self._images.popitem(last=False)
        self._write_complete()

    def add_step(self, experience: Experience) -> None:
        """Takes a step, whose number in files is one less than its sequence; raises OSError as `FrameFolder.write`."""
        self._waiting.append((experience, self._count))
        self._write_complete()

    def _write_complete(self) -> None:
        for _ in range(len(self._waiting)):
            experience, count = self._waiting.popleft()
            before, after = _stamp(experience.transition.before), _stamp(experience.transition.after)
            if before in self._images and after in self._images:
                self._write(experience, self._images[before][0], *self._images[after])
            elif self._count - count >= HELD or len(self._waiting) >= HELD:
                self.missing += 1
            else:
                self._waiting.append((experience, count))

    def _write(self, experience: Experience, before: T, after: T, received_ns: int) -> None:
        action = experience.transition.action_applied.tolist()
        received = datetime.fromtimestamp(received_ns / NS)
        self.missing += 1
        try:
            images = self._to_rgb(before), self._to_rgb(after)
        except UserError:
            return
        self._files.write(experience.sequence - 1, action, *images, received)
        self.missing -= 1
        self.written += 1

    def close(self) -> None:
        """Closes the index; steps that still wait are missing."""
        self.missing += len(self._waiting)
        self._waiting.clear()
        self._files.close()


def _stamp(observation: Observation) -> int:
    """Returns the stamp of the image of an observation, ns: its own, or that of the image that was encoded."""
    readings = observation.readings
    image = next((reading for reading in readings.values() if reading.data.ndim == 3), readings.get(EMBEDDING))
    return observation.stamp if image is None else image.stamp
