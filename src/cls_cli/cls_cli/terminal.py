"""Single keys from a terminal, without waiting for Enter."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
import select
import sys
import termios
import tty


class Keys:
    """Keys pressed so far, as text; never blocks longer than asked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.is_open = True

    def read(self, timeout: float) -> str:
        """Returns the keys pressed, in lower case, waiting up to `timeout` s for the first; '' for none."""
        if not self.is_open or not select.select([self._descriptor], [], [], timeout)[0]:
            return ''
        try:
            data = os.read(self._descriptor, 64)
        except OSError:
            data = b''
        self.is_open = bool(data)
        # An arrow or function key is a sequence that begins with escape: none of ours.
        return '' if data.startswith(b'\x1b') else data.decode(errors='ignore').lower()


def is_interactive() -> bool:
    """Whether a person reads and types here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def key_reader() -> Iterator[Keys]:
    """Yields the terminal's keys; sets the terminal back whatever happens."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
