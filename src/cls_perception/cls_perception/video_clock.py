"""When the frames of a film are due."""

from typing import Final

# Farther behind than this, a film goes on from where it is and does not hurry.
_FARTHEST_BEHIND: Final = 1.0  # s
# Between the last frame and the first of the next turn, where the film has shown one frame only.
_LEAST_GAP: Final = 0.04  # s


class FilmClock:
    """Turns times within a film into times of a clock; a film may begin again."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0
        self._gap = _LEAST_GAP

    def due(self, frame_time: float, now: float) -> float:
        """Returns when a frame is to be shown, s of the clock.

        Args:
            frame_time: s from the start of the film; not above that of the frame before where the film began again.
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
