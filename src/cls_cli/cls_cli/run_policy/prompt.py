"""Lines typed at a terminal, read without blocking."""

import os
import select

HINT = '[Enter: do it; other numbers or name=value; q or stop: end]'


class Lines:
    """Whole lines from a descriptor; a read never blocks longer than its timeout.

    Attributes:
        is_open: whether more lines may follow.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b''
        self.is_open = True

    def read(self, timeout: float) -> str | None:
        """Returns the next line without its end, waiting up to `timeout` s; None where there is none yet."""
        if b'\n' not in self._data and self.is_open and select.select([self._descriptor], [], [], timeout)[0]:
            try:
                data = os.read(self._descriptor, 4096)
            except OSError:  # the terminal went away
                data = b''
            self.is_open = bool(data)
            # The text before the end of a file counts as a line.
            self._data += data if data or not self._data else b'\n'
        line, end, rest = self._data.partition(b'\n')
        if not end:
            return None
        self._data = rest
        return line.decode(errors='replace')
