"""Splits a byte stream into lines, and marks those that are certainly complete."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# Replies are short; noise without line ends must not accumulate.
_LONGEST_LINE = 256


@dataclass(frozen=True)
class SerialLine:
    """One line without its end.

    Attributes:
        text: ASCII; other bytes are replaced.
        is_whole: certainly complete: it began right after a line that was recognised.
    """

    text: str
    is_whole: bool


class LineReader:
    """Splits a stream into lines and does not mark the rest of a line as a whole line.

    The first line is not whole, since reading may have begun in its middle. Nor is one whose beginning was discarded
    or was too long, nor one after a line that was not recognised: that may contain the beginning of this one, for
    example where a debug print separates `-` from `40.0,0.0`.

    Args:
        is_known: whether a text is a valid line of the other side.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._lines: deque[SerialLine] = deque()
        self._pending = b''
        self._is_cut = True

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        *ended, self._pending = (self._pending + data).split(b'\n')
        for line in ended:
            self._end_line(line)
        if len(self._pending) > _LONGEST_LINE:
            self._pending, self._is_cut = b'', True

    def next(self) -> SerialLine | None:
        """Returns the next line, or None if none has ended yet."""
        return self._lines.popleft() if self._lines else None

    def forget(self) -> None:
        """Discards all input; the rest of a line that has begun is not whole."""
        self._lines.clear()
        self._is_cut = self._is_cut or self._pending != b''
        self._pending = b''

    def _end_line(self, line: bytes) -> None:
        text = line[-_LONGEST_LINE:].decode('ascii', 'replace').removesuffix('\r')
        self._lines.append(SerialLine(text, not self._is_cut and len(line) <= _LONGEST_LINE))
        self._is_cut = not self._is_known(text)
