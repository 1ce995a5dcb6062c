"""H.264 video files, and the video of a session's camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
import math
from pathlib import Path
from types import TracebackType

import av
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.stamps import NS

from ..reader import SessionReader
from .frames import frames
from .output import check_absent, no_progress, partial, ProgressCallback
from .timeline import median_period, no_images, one_robot, read_timelines, Shot

# Clock rate of MPEG systems, ticks a second: a multiple of all usual frame rates.
_TICKS = 90_000
# H.264 constant rate factor, 0 to 51: at 18 coding errors are hardly visible.
QUALITY = 18
PRESET = 'veryfast'
_USUAL_RATE = 30


class VideoFile:
    """An MP4 file that is being written: H.264, yuv420p, index at its beginning.

    Args:
        path: to be made.
        rate: frames a second. Default distance of frames is one period.
        key_frames: one every so many frames. Few make random access slow, many the file large.
        size: (H, W) of all frames; None: that of the first.

    Attributes:
        size: as given, or of the first frame. frames: written so far.
        bytes_written: of pictures; the encoder holds some frames back.
    """

    def __init__(self, path: Path, rate: Fraction, key_frames: int, size: tuple[int, int] | None = None) -> None:
        self._rate = rate
        self._container = av.open(str(path), 'w', format='mp4', options={'movflags': 'faststart'})
        # Without B-frames, times in the file begin at 0 for every reader.
        options = {'crf': str(QUALITY), 'preset': PRESET, 'g': str(key_frames), 'bf': '0'}
        self._stream: VideoStream = self._container.add_stream('libx264', rate=rate, options=options)
        self._stream.pix_fmt = 'yuv420p'
        # Stated explicitly: otherwise players assume ITU 709 for large images and show other colours.
        self._stream.codec_context.colorspace = Colorspace.ITU601
        self._stream.codec_context.color_range = ColorRange.MPEG
        self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, _TICKS)
        self.size = size
        self.frames = self.bytes_written = 0
        self._is_broken = False

    def write(self, image: Image, *, time: float | None = None, key_frame: bool = False) -> None:
        """Adds uint8 (H, W, 3) RGB, even in both sizes, at `time`, s; default: one period after the one before.

        Raises:
            UserError: of another size than the first one.
        """
        size = (image.shape[0], image.shape[1])
        if self.size is None:
            self.size = size
        if not self.frames:
            self._stream.height, self._stream.width = self.size
        if size != self.size:
            raise UserError(
                'images differ in size', expected=f'{self.size[1]}x{self.size[0]}', found=f'{size[1]}x{size[0]}'
            )
        frame = av.VideoFrame.from_ndarray(image, 'rgb24').reformat(
            format='yuv420p', dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
        )
        frame.time_base = Fraction(1, _TICKS)
        frame.pts = round(_TICKS * (Fraction(self.frames) / self._rate if time is None else time))
        frame.duration = round(_TICKS / self._rate)
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        self._encode(frame)
        self.frames += 1

    def close(self) -> None:
        """Flushes the encoder and writes the index; raises OSError on a full disk."""
        try:
            if self.frames and not self._is_broken:
                self._encode(None)
        finally:
            self._container.close()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            packets = self._stream.encode(frame)
            self._container.mux(packets)
        except BaseException:
            # PyAV 18 crashes the process when something is added to a file whose beginning could not be written.
            self._is_broken = True
            raise
        self.bytes_written += sum(packet.size for packet in packets)

    def __enter__(self) -> 'VideoFile':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class VideoSummary:
    """Result of an export: frames, and s from the first to the end of the last. broken: images that were left out."""

    frames: int
    duration: float
    broken: int = 0


def export_video(
    sessions: Sequence[Path], output: Path, *, fps: int | None = None, progress: ProgressCallback = no_progress
) -> VideoSummary:
    """Writes the images of some sessions, one session after the other, as one MP4 file.

    Args:
        sessions: folders, in order, all of one robot.
        output: the file to make; its folder is made where it is missing.
        fps: frames a second, evenly; None: each image is shown at the time of its stamp. Where the clock was set back,
            and between sessions, the next image follows after one usual period.
        progress: called with the number of images done and the total.

    Raises:
        UserError: a session without images, other robots, images that differ in size or are damaged, `output` exists
            or can't be written.
    """
    check_absent(output)
    timelines = read_timelines(sessions)
    one_robot(timelines)
    for timeline in timelines:
        if not timeline.shots:
            raise no_images(timeline)
    total = sum(len(timeline.shots) for timeline in timelines)
    period = median_period([(shot.epoch, shot.stamp) for timeline in timelines for shot in timeline.shots])
    rate = Fraction(fps) if fps else Fraction(1 / period if math.isfinite(period) else _USUAL_RATE)
    rate = rate.limit_denominator(1000) or Fraction(1, 1000)
    # A key frame each two seconds: players can seek, and the file stays small.
    with partial(output) as path, VideoFile(path, rate, max(1, round(2 * rate))) as video:
        time = 0.0
        for timeline in timelines:
            with SessionReader(timeline.path) as reader:
                images = frames(reader, timeline.image_topic, [shot.place for shot in timeline.shots])
                for image, step in zip(images, _steps(timeline.shots, 1.0 / float(rate))):
                    time += step
                    video.write(image, time=None if fps else time - 1.0 / float(rate))
                    progress(video.frames, total)
    broken = sum(timeline.broken for timeline in timelines)
    return VideoSummary(total, total / float(rate) if fps else time, broken)


def _steps(shots: Sequence[Shot], period: float) -> list[float]:
    """Returns the time between each image and the one before, s."""
    between = ((b.stamp - a.stamp) / NS if a.epoch == b.epoch else period for a, b in pairwise(shots))
    return [period, *between]
