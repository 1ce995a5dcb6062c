"""Lines over a serial port, with deadlines and errors with advice."""

from collections.abc import Callable
import errno
import termios
import time

import serial

from cls_common.driver.link import LinkError
from cls_common.errors import UserError

from .line_reader import LineReader, SerialLine
from .protocol import parse

# A read returns with the first byte; this bounds the delay of deadlines, and so of repeating an emergency stop.
_READ_TIMEOUT = 0.01
# A command is a few bytes: a port that can't accept them at once has lost its board. Short, for emergency stops.
_WRITE_TIMEOUT = 0.03
# Exceptions of pyserial for a disconnected port: termios.error is no OSError, TypeError follows a close.
_DISCONNECTED = (OSError, TypeError, termios.error)


class SerialTransport:
    """An exclusively opened serial port.

    One thread reads. `write` may be called from any thread.

    Args:
        open_port: opens the port with the arguments of `serial.Serial`.

    Raises:
        UserError: at construction, if the port is missing, busy, not permitted or no serial port.
    """

    def __init__(
        self,
        port: str,
        baud: int = 115200,
        clock: Callable[[], float] = time.monotonic,
        open_port: Callable[..., serial.Serial] = serial.Serial,
    ) -> None:
        self.port = port
        self._clock = clock
        self._lines = LineReader(lambda text: parse(text) is not None)
        self._has_failed = False
        try:
            self._serial = open_port(port, baud, timeout=_READ_TIMEOUT, write_timeout=_WRITE_TIMEOUT, exclusive=True)
        except (OSError, ValueError) as error:
            raise _explain(port, error) from error

    def write(self, request: bytes) -> None:
        """Sends bytes; raises LinkError if the port can't accept them at once."""
        # Part of a failed request may have been sent. It must neither absorb this one nor count as a request itself:
        # a truncated `servos 5 -40` is another move.
        data = b'?\n' + request if self._has_failed else request
        self._has_failed = True
        try:
            self._serial.write(data)
        except _DISCONNECTED as error:
            raise self._lost(error) from error
        self._has_failed = False

    def read_line(self, deadline: float) -> SerialLine | None:
        """Returns the next line, or None if none has ended by `deadline`, s of the clock."""
        while (line := self._lines.next()) is None:
            if self._clock() >= deadline:
                return None
            self._lines.feed(self._read(1))
        return line

    def listen(self, duration: float) -> list[SerialLine]:
        """Returns all lines received within `duration` s, such as the banner of a starting board."""
        deadline = self._clock() + duration
        lines = []
        while (line := self.read_line(deadline)) is not None:
            lines.append(line)
        return lines

    def clear(self) -> None:
        """Discards received bytes: old replies must not answer new requests."""
        # Read instead of flushed, to know whether a line has begun.
        self._lines.feed(self._read(0))
        self._lines.forget()

    def close(self) -> None:
        """Closes the port; may be called twice."""
        self._serial.close()

    def _read(self, least: int) -> bytes:
        try:
            return bytes(self._serial.read(max(least, self._serial.in_waiting)))
        except _DISCONNECTED as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> LinkError:
        return LinkError(
            f'servo board on {self.port} is disconnected',
            found=str(error) or type(error).__name__,
            do='Check cable and power; the driver reconnects automatically.',
        )


def _explain(port: str, error: Exception) -> UserError:
    number = getattr(error, 'errno', None)
    text = str(error)
    if number == errno.ENOENT:
        return UserError(
            f'serial port {port!r} does not exist',
            expected='the path of a plugged-in board',
            do='Check cable and path; "ls /dev/serial/by-id" lists what is plugged in.',
        )
    if number in (errno.EACCES, errno.EPERM):
        return UserError(
            f'serial port {port!r} may not be opened',
            found='permission denied',
            do='Add yourself to the group that owns it (often: sudo usermod -aG dialout $USER), then log in again.',
        )
    if number in (errno.EAGAIN, errno.EBUSY) or 'exclusively lock' in text:
        return UserError(
            f'serial port {port!r} is in use by another program',
            do=f'End the other program ("fuser {port}" names it): only one may command the servos.',
        )
    return UserError(f'serial port {port!r} cannot be opened', found=text, do='Name a serial port.')
