"""Reads a camera in a separate thread: keeps the newest frame, reopens a lost camera."""

from collections.abc import Callable
import dataclasses
from dataclasses import dataclass
import logging
import threading
import time

from cls_common.errors import UserError
from cls_common.images import Image

from .camera import Camera, CameraLostError
from .repeated_frames import LIMIT, RepeatedFrames
from .video_clock import VideoClock

# A stream has a fault after this many periods without a frame, and at least this time, s.
_TIMEOUT, _MIN_TIMEOUT = 5.0, 2.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 5.0  # s between attempts to open a lost camera, doubling
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraFrame:
    """One image: uint8 (H, W, 3) RGB, and its time of acquisition (ns of the clock given to the reader)."""

    image: Image
    stamp: int


@dataclass(frozen=True)
class StreamStatus:
    """Status of the stream.

    Attributes:
        problem: why there is no stream now; empty: there is one.
        ended: the end of a file that is not looped.
        frames, damaged, overwritten: frames delivered, undecodable, and replaced before they were taken.
        repeated: number of consecutive frames equal to the newest one.
        withheld: repeated frames that were not delivered.
        lost: number of times the camera was lost.
        since: time of the newest frame, or of opening, s on the steady clock.
        timeout: s without a frame before it is a fault.
        rate: Hz, smoothed over about 10 frames.
        is_locked: exposure is fixed.
        notes: requested settings that are not available.
    """

    problem: str = ''
    ended: bool = False
    frames: int = 0
    damaged: int = 0
    overwritten: int = 0
    repeated: int = 0
    withheld: int = 0
    lost: int = 0
    since: float = 0.0
    timeout: float = 0.0
    rate: float = 0.0
    is_locked: bool = False
    notes: tuple[str, ...] = ()

    def health(self, now: float) -> tuple[int, str]:
        """Returns a level (0 good, 1 warning, 2 error) and one sentence; `now` in s on the steady clock."""
        if self.problem:
            return 2, f'{self.problem}; trying to open it again.'
        if self.ended:
            return 1, 'The source has ended; set `loop` to repeat it.'
        if self.repeated >= LIMIT:
            return 2, (
                f'The camera has delivered the same frame {self.repeated} times, so nothing is published: uncover its '
                'lens or plug it in again; set `noiseless` if the source has no noise.'
            )
        silence = now - self.since
        if silence > self.timeout:
            return 2, f'No frame for {silence:.1f} s; check the cable and the USB bus.'
        if self.notes:
            return 1, '; '.join(self.notes) + '.'
        return 0, f'{self.rate:.1f} frames a second.'


class CameraReader:
    """The only user of an opened camera from `start` to `stop`."""

    def __init__(
        self,
        camera: Camera,
        now: Callable[[], int],
        on_frame: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares a reader.

        Args:
            camera: already open.
            now: ns; stamps frames.
            on_frame: called in the reader's thread after each new frame.
            clock: s, steady; paces files and times warm-up.
        """
        self._camera, self._now, self._on_frame, self._clock = camera, now, on_frame, clock
        self._settings = camera.settings
        self._stop = threading.Event()
        self._guard = threading.Lock()  # protects the two attributes below
        self._newest: CameraFrame | None = None
        timeout = _TIMEOUT / self._settings.frame_rate if self._settings.frame_rate else 0.0
        self._stream = StreamStatus(timeout=max(_MIN_TIMEOUT, timeout), notes=tuple(camera.notes), since=clock())
        self._video_clock = VideoClock()
        self._repeats = RepeatedFrames()
        self._due = 0.0
        self._lock_at = 0.0
        self._wait = 0.0
        self._last_frame_at: float | None = None  # time of the previous frame, for the rate
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._due = self._clock()
        self._lock_at = self._due + self._settings.warm_up
        self._update(since=self._due)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> bool:
        """Ends the thread; returns False if the driver did not return within `timeout` s: leave the camera then."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def take(self) -> CameraFrame | None:
        """Returns the newest frame once; None if it was taken already."""
        with self._guard:
            frame, self._newest = self._newest, None
        return frame

    @property
    def stream(self) -> StreamStatus:
        """The current status."""
        with self._guard:
            return self._stream

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except (CameraLostError, UserError) as error:
                self._on_lost(str(error))
            except Exception as error:
                # Without a report, a dead thread would look like a slow camera.
                _LOGGER.exception('reading %s failed', self._camera.label)
                self._on_lost(repr(error))

    def _step(self) -> None:
        if self.stream.problem:
            self._reopen()
            return
        if self._settings.lock_exposure and not self.stream.is_locked and self._clock() >= self._lock_at:
            self._update(is_locked=self._camera.lock(), notes=tuple(self._camera.notes))
            self._lock_at = float('inf')
        has_times = self._camera.frame_time is not None
        if not (self._camera.is_live or has_times) and self._stop.wait(max(0.0, self._due - self._clock())):
            return
        if not self._camera.grab():
            self._update(ended=True)
            self._stop.wait()
            return
        if self._camera.frame_time is not None and self._wait_for_video(self._camera.frame_time):
            return
        stamp, time_of_frame = self._now(), self._clock()
        if self._is_due(time_of_frame):
            self._publish(self._camera.retrieve(), stamp, time_of_frame)

    def _wait_for_video(self, frame_time: float) -> bool:
        now = self._clock()
        due = self._video_clock.due(frame_time, now)
        # A long pause in the video is no fault.
        self._update(since=max(now, due))
        return self._stop.wait(max(0.0, due - now))

    def _is_due(self, now: float) -> bool:
        has_own_pace = self._camera.is_live or self._camera.frame_time is not None
        rate = self._settings.frame_rate or (0.0 if has_own_pace else self._camera.own_rate)
        if not rate:
            return True
        # Frames of a camera have jitter: with a tolerance of half a period no frame of a camera with the requested rate
        # is dropped.
        if now < self._due - 0.5 / rate:
            return False
        self._due = max(self._due + 1.0 / rate, now - 1.0 / rate)
        return True

    def _publish(self, image: Image | None, stamp: int, now: float) -> None:
        before = self.stream
        self._update(notes=tuple(self._camera.notes))
        if image is None:
            self._update(damaged=before.damaged + 1)
            return
        if not (self._camera.is_noiseless or self._settings.noiseless):
            is_withheld = self._repeats.add(image)
            self._update(repeated=self._repeats.count, withheld=before.withheld + is_withheld)
            if is_withheld:
                return
        rate = 1.0 / max(now - self._last_frame_at, 1e-6) if self._last_frame_at is not None else 0.0
        smooth = 0.9 * before.rate + 0.1 * rate if before.rate else rate
        self._last_frame_at = now
        with self._guard:
            missed = self._newest is not None
            self._newest = CameraFrame(image, stamp)
        self._update(frames=before.frames + 1, since=now, rate=smooth, overwritten=before.overwritten + missed)
        self._on_frame()

    def _on_lost(self, problem: str) -> None:
        self._camera.close()
        before = self.stream
        self._update(problem=problem.rstrip('.'), lost=before.lost + (not before.problem), rate=0.0)
        self._last_frame_at = None
        self._wait = min(2.0 * self._wait, _LONGEST_WAIT) if self._wait else _FIRST_WAIT

    def _reopen(self) -> None:
        if self._stop.wait(self._wait):
            return
        self._camera.open()
        self._wait = 0.0
        self._due = self._clock()
        if not self.stream.is_locked:
            self._lock_at = self._due + self._settings.warm_up
        self._update(problem='', since=self._due, notes=tuple(self._camera.notes))

    def _update(self, **changes: object) -> None:
        with self._guard:
            self._stream = dataclasses.replace(self._stream, **changes)  # type: ignore[arg-type]
