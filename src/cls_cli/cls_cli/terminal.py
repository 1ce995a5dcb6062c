"""Single keys from a terminal, without waiting for Enter."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
import select
import sys
import termios
import tty


class Keys:
    """Keys pressed so far, as text; a read never blocks longer than its timeout."""

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
        # Arrow and function keys are sequences that begin with escape; none of them is used.
        return '' if data.startswith(b'\x1b') else data.decode(errors='ignore').lower()


def is_interactive() -> bool:
    """Whether standard input and output are terminals."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def key_reader() -> Iterator[Keys]:
    """Yields the terminal's keys; the terminal is restored in any case."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
