"""Signals as a count to poll, so that the orderly end is in one place."""

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts SIGINT, SIGTERM and SIGHUP while entered, instead of ending the process."""

    def __init__(self) -> None:
        self.count = 0
        self._event = threading.Event()

    def __enter__(self) -> 'Interrupts':
        self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reset(self) -> None:
        """Resets the count."""
        self.count = 0
        self._event.clear()

    def wait(self, timeout: float) -> None:
        """Returns after `timeout` s, or at once when there was a signal."""
        self._event.wait(timeout)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self._event.set()
