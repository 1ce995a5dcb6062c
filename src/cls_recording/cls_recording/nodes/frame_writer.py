"""The node `frame_writer`: saves what the camera saw before and after each step that the learner closed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
import sys
import time
from typing import Any

from rclpy.node import Node

from cls_common import comms
from cls_common.experience_codec import from_message
from cls_common.images import from_jpeg
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_nanoseconds
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run

from ..settings import FrameWriterSettings
from ..step_frames import HELD, StepFrames

# s without an experience after which no further one is expected: its publisher is gone, or is still there.
_END_WAIT_GONE, _END_WAIT = 0.5, 3.0
_LOG_EVERY = 10.0  # s


class FrameWriter(Node):
    """Writes JPEG images of steps and an index to `folder`; see `cls_recording.step_frames`.

    Parameters: the fields of `cls_recording.settings.FrameWriterSettings`.

    Subscribers:
        camera/image_raw/compressed (sensor_msgs/CompressedImage): reliable, unlike the images of a camera themselves.
        experience (cls_interfaces/Experience).
    """

    def __init__(self) -> None:
        super().__init__('frame_writer')
        self._settings = declare(self, FrameWriterSettings)
        self._frames = StepFrames(Path(self._settings.folder), from_jpeg)
        self._last = time.monotonic()
        self._is_ending = False
        # Deep: each image may be one that a step names.
        every = replace(comms.COMPRESSED.profile, depth=HELD)
        qos.subscription(self, comms.COMPRESSED, self._on_image, profile=every)
        qos.subscription(self, comms.EXPERIENCE, self._on_experience)

    def _on_image(self, message: Any) -> None:
        stamp = to_nanoseconds(message.header.stamp)
        self._add(partial(self._frames.add_image, stamp, bytes(message.data), time.time_ns()))

    def _on_experience(self, message: Any) -> None:
        self._last = time.monotonic()
        try:
            experience = from_message(message)
        except ValueError as error:
            self.get_logger().warning(f'experience refused: {error}', throttle_duration_sec=_LOG_EVERY)
            return
        self._add(partial(self._frames.add_step, experience))

    def _add(self, add: Callable[[], None]) -> None:
        missing = self._frames.missing
        try:
            add()
        except OSError as error:
            self.get_logger().error(f'images of a step are not written: {error}', throttle_duration_sec=_LOG_EVERY)
        if self._frames.missing > missing:
            text = f'steps without images so far: {self._frames.missing}'
            self.get_logger().warning(text, throttle_duration_sec=_LOG_EVERY)

    def wind_down(self) -> bool:
        """Goes on until the last experiences have arrived, as after a Ctrl-C that reaches all processes."""
        now = time.monotonic()
        if not self._is_ending:
            self._is_ending, self._last = True, now
        is_gone = self.count_publishers(comms.EXPERIENCE.name) == 0
        return now - self._last > (_END_WAIT_GONE if is_gone else _END_WAIT)

    def close(self) -> None:
        """Closes the index."""
        self._frames.close()
        done = self._frames
        self.get_logger().info(f'{self._settings.folder}: images of {done.written} steps, {done.missing} without')


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(FrameWriter, args)


if __name__ == '__main__':
    sys.exit(main())
