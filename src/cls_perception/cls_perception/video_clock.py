"""Times at which the frames of a video are due."""

from typing import Final

# A video farther behind than this continues at normal speed instead of catching up.
_FARTHEST_BEHIND: Final = 1.0  # s
# Time between the last frame and the first of the next repetition, if only one frame was shown.
_LEAST_GAP: Final = 0.04  # s


class VideoClock:
    """Converts times of a video to times of a clock; a video may be repeated."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0
        self._gap = _LEAST_GAP

    def due(self, frame_time: float, now: float) -> float:
        """Returns when a frame is to be shown, s of the clock.

        Args:
            frame_time: s from the start of the video; at most that of the frame before if the video was restarted.
            now: s of the clock.
        """
        if self._offset is None:
            self._offset = now - frame_time
        elif frame_time <= self._last:
            self._offset += self._last + self._gap - frame_time
        else:
            self._gap = frame_time - self._last
        if now - (self._offset + frame_time) > _FARTHEST_BEHIND:
            self._offset = now - frame_time
        self._last = frame_time
        return self._offset + frame_time
