"""The servo board over its transport: every request is answered, or the link counts as lost (H6)."""

from collections.abc import Callable
import time
from typing import TypeVar

from cls_common.errors import UserError

from .protocol import (
    Angles,
    ASK_ANGLES,
    At,
    move_both,
    Moved,
    parse,
    READY_BANNER,
    Refused,
    Reply,
    set_timeout,
    STOP,
    Stopped,
    TimeoutSet,
)
from .safety import StopLatch
from .transport import LinkError, SerialTransport

R = TypeVar('R', bound=Reply)

# Two decimals go out, and the board computes in 32 bits.
_TOLERANCE_DEG = 0.011
# A stop is said again after so many s: short enough that torque is off within 50 ms even when one is lost.
_STOP_AGAIN = 0.02


class PositionError(LinkError):
    """The board is not where it was sent: it has started anew, or somebody else commands it."""


class Board:
    """A board that has told where its servos are (H5), before anything may move.

    Made by opening: waits, forgets old input, asks for the angles, sets the timeout where the firmware has one.

    Args:
        transport: closed here when the handshake fails.
        latch: holds back moves after an emergency stop.
        open_wait: s to listen after opening, since a board may be starting (row 000-098).
        reply_timeout: s until a request counts as unanswered.
        timeout: s of silence after which the board switches its outputs off.

    Attributes:
        angles: degrees, last acknowledged.
        has_timeout: the firmware switches outputs off by itself; False: the original, which never does.
        was_booting: its banner came meanwhile; angles are then 0,0 and nobody has moved it yet.
        garbled: lines since opening that were no reply.
        repeats: requests that had to be said again.
        latency: s from the last request to its reply.

    Raises:
        LinkError: no answer, or none that can be understood.
    """

    def __init__(
        self, transport: SerialTransport, latch: StopLatch, *, open_wait: float = 1.0, reply_timeout: float = 0.5,
        timeout: float = 1.0, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._latch = latch
        self._reply_timeout = reply_timeout
        self._clock = clock
        self.garbled = 0
        self.repeats = 0
        self.latency = 0.0
        try:
            self.was_booting = READY_BANNER in transport.listen(open_wait)
            self.angles = self._ask_again(At, ASK_ANGLES).angles
            self.has_timeout = self._set_timeout(timeout)
        except UserError:
            transport.close()
            raise

    def move(self, angles: Angles) -> Angles:
        """Sends both servos to `angles`, degrees, and returns what the board acknowledged.

        Raises:
            StoppedError: the emergency stop is latched; nothing was sent.
            LinkError: not acknowledged, or with other angles; what the servos did is unknown.
        """
        request = move_both(angles)
        reply = self._ask(Moved, lambda: self._latch.send(lambda: self._transport.write(request)), self._reply_timeout)
        told = [angle for angle in reply.angles if angle is not None]
        if len(told) != 2 or max(abs(a - b) for a, b in zip(told, angles)) > _TOLERANCE_DEG:
            raise self._wrong(f'S1 and S2 at {angles}', f'{reply.angles}')
        self.angles = (told[0], told[1])
        return self.angles

    def check(self) -> None:
        """Asks for the angles: keeps the outputs on, and finds a board that has gone or has started anew."""
        told = self._ask_again(At, ASK_ANGLES).angles
        if max(abs(a - b) for a, b in zip(told, self.angles)) > _TOLERANCE_DEG:
            raise self._wrong(f'angles {self.angles}', f'{told}; it has probably started anew')

    def stop(self) -> None:
        """Switches the outputs off and waits until the board says so; asked again and again until it does."""
        deadline = self._clock() + 2 * self._reply_timeout
        while True:
            try:
                self._ask(Stopped, self.send_stop, _STOP_AGAIN)
                return
            except LinkError:
                if self._clock() >= deadline:
                    raise
                self.repeats += 1

    def send_stop(self) -> None:
        """Sends the stop without waiting for the reply: for an emergency, from any thread."""
        self._transport.write(STOP)

    def close(self) -> None:
        """Gives the port back. Does not switch anything off."""
        self._transport.close()

    def _set_timeout(self, seconds: float) -> bool:
        try:
            reply = self._ask_again(TimeoutSet, set_timeout(seconds))
        except _RefusedError:
            return False
        return abs(reply.seconds - seconds) <= 0.01

    def _ask_again(self, expected: type[R], request: bytes) -> R:
        # For requests that may be done twice. The original firmware, once it has replied, drops what came meanwhile:
        # a request that follows a reply closely may be lost there.
        try:
            return self._ask(expected, lambda: self._transport.write(request), self._reply_timeout)
        except _RefusedError:
            raise
        except LinkError:
            self.repeats += 1
            return self._ask(expected, lambda: self._transport.write(request), self._reply_timeout)

    def _ask(self, expected: type[R], send: Callable[[], None], wait: float) -> R:
        self._transport.clear()
        start = self._clock()
        send()
        noise = ''
        while (line := self._transport.read_line(start + wait)) is not None:
            reply = parse(line)
            if isinstance(reply, expected):
                self.latency = self._clock() - start
                return reply
            if isinstance(reply, Refused):
                raise _RefusedError(f'servo board on {self._transport.port} refused', found=reply.text)
            if reply is None:
                self.garbled += 1
                noise = line
        raise LinkError(
            f'servo board on {self._transport.port} does not answer',
            expected=f'{expected.__name__} within {wait} s',
            found=repr(noise) if noise else 'silence',
            do='Check cable and power, that firmware/servo2040/main.py runs on it (press reset), and the port.',
        )

    def _wrong(self, expected: str, found: str) -> PositionError:
        return PositionError(
            f'servo board on {self._transport.port} is elsewhere', expected=expected, found=found,
            do='The driver reads its angles anew.',
        )  # fmt: skip


class _RefusedError(LinkError):
    pass
