"""Lines from a stream of bytes, and which of them are known to be whole."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# A board speaks in short lines; noise without line ends must not pile up.
_LONGEST_LINE = 256


@dataclass(frozen=True)
class Line:
    """One line without its end.

    Attributes:
        text: ASCII; other bytes are replaced.
        is_whole: nothing of it can be missing: it began right after a line that was recognised.
    """

    text: str
    is_whole: bool


class LineReader:
    """Splits a stream into lines and never takes the rest of a line for a line.

    The first line is not whole, since the stream may have been joined in its middle. Nor is one whose beginning was
    forgotten or was too long, nor one after a line that was not recognised: that may hold the beginning of this one,
    as where a debug print parts `-` from `40.0,0.0`.

    Args:
        is_known: whether a text is a line that the other side is known to say.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._lines: deque[Line] = deque()
        self._pending = b''
        self._is_cut = True

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        *ended, self._pending = (self._pending + data).split(b'\n')
        for line in ended:
            self._end_line(line)
        if len(self._pending) > _LONGEST_LINE:
            self._pending, self._is_cut = b'', True

    def next(self) -> Line | None:
        """Returns the next line, or None where none has ended yet."""
        return self._lines.popleft() if self._lines else None

    def forget(self) -> None:
        """Drops all that was fed; the rest of a line that has begun is not whole."""
        self._lines.clear()
        self._is_cut = self._is_cut or self._pending != b''
        self._pending = b''

    def _end_line(self, line: bytes) -> None:
        text = line[-_LONGEST_LINE:].decode('ascii', 'replace').removesuffix('\r')
        self._lines.append(Line(text, not self._is_cut and len(line) <= _LONGEST_LINE))
        self._is_cut = not self._is_known(text)
