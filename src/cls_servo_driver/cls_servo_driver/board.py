"""The servo board over its transport: every request is answered, or the link counts as lost."""

from collections.abc import Callable
import time
from typing import TypeVar

from cls_common.errors import UserError

from .lines import Line
from .protocol import (
    add_check,
    Angles,
    ASK_ANGLES,
    At,
    move_both,
    Moved,
    parse,
    READY_BANNER,
    Refused,
    remove_check,
    Reply,
    set_timeout,
    STOP,
    Stopped,
    TimeoutSet,
)
from .safety import StopLatch, TOLERANCE_DEG
from .transport import LinkError, SerialTransport

R = TypeVar('R', bound=Reply)

# A position is believed when two reports in a row are alike; so many are asked for.
_REPORTS = 6
# Checks are given up when so many checked requests in a row are unknown to the board.
_PROBES = 3
# s of silence before a request is repeated to the original firmware, which drops what follows its reply closely.
_PAUSE = 0.02
# A stop is said again after so many s: short enough that torque is off within 50 ms even when one is lost.
_STOP_AGAIN = 0.02


class PositionError(LinkError):
    """The board is not where it was sent: it has restarted, or another program commands it."""


class Board:
    """A board that has reported where its servos are, before anything may move.

    Made by opening: waits, forgets old input, learns whether the firmware checks lines, asks for the angles until two
    reports in a row are alike, sets the timeout where the firmware has one.

    With our firmware each request carries a tag and a checksum, and only a reply that carries both is believed. From
    the original firmware a reply with numbers is believed only where its line is whole.

    Args:
        transport: closed here when the handshake fails.
        latch: holds back moves after an emergency stop.
        open_wait: s to listen after opening, since a board may be starting.
        reply_timeout: s until a request counts as unanswered.
        timeout: s of silence after which the board switches its outputs off.

    Attributes:
        angles: degrees, last acknowledged.
        is_checked: replies carry tag and checksum; False: the original firmware, or an older one of ours.
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
        self.is_checked = True
        self._tag = 0
        try:
            self.was_booting = READY_BANNER in [line.text for line in transport.listen(open_wait)]
            self.is_checked = self._find_check()
            self.angles = self._ask_position()
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
        reply = self._ask(Moved, request, self._reply_timeout, self._latch.send)
        told = [angle for angle in reply.angles if angle is not None]
        if len(told) != 2 or max(abs(a - b) for a, b in zip(told, angles)) > TOLERANCE_DEG:
            raise self._wrong(f'S1 and S2 at {angles}', f'{reply.angles}')
        self.angles = (told[0], told[1])
        return self.angles

    def check(self) -> None:
        """Asks for the angles: keeps the outputs on, and finds a board that has gone or has started anew."""
        told = self._ask_again(At, ASK_ANGLES).angles
        if max(abs(a - b) for a, b in zip(told, self.angles)) > TOLERANCE_DEG:
            raise self._wrong(f'angles {self.angles}', f'{told}; it has probably started anew')

    def stop(self) -> None:
        """Switches the outputs off and waits until the board says so; asked again and again until it does."""
        deadline = self._clock() + 2 * self._reply_timeout
        while True:
            try:
                self._ask(Stopped, STOP, _STOP_AGAIN)
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

    def _find_check(self) -> bool:
        # Damage to one request must not be taken for firmware that knows no checks.
        for _ in range(_PROBES):
            self._transport.listen(_PAUSE)
            try:
                self._ask_again(At, ASK_ANGLES)
            except _UnknownCommandError:
                continue
            return True
        return False

    def _ask_position(self) -> Angles:
        reports: list[Angles] = []
        for _ in range(_REPORTS):
            reports.append(self._ask_again(At, ASK_ANGLES).angles)
            if len(reports) > 1 and reports[-1] == reports[-2]:
                return reports[-1]
        raise LinkError(
            f'servo board on {self._transport.port} reports changing angles',
            expected='the same angles twice in a row', found='; '.join(map(str, reports)),
            do='See that nothing else commands it, and check the cable.',
        )  # fmt: skip

    def _set_timeout(self, seconds: float) -> bool:
        try:
            reply = self._ask_again(TimeoutSet, set_timeout(seconds))
        except _UnknownCommandError:
            return False
        return abs(reply.seconds - seconds) <= 0.01

    def _ask_again(self, expected: type[R], request: bytes) -> R:
        # For requests that may be done twice.
        if not self.is_checked:
            self._transport.listen(_PAUSE)
        try:
            return self._ask(expected, request, self._reply_timeout)
        except _UnknownCommandError:
            raise
        except LinkError:
            self.repeats += 1
            return self._ask(expected, request, self._reply_timeout)

    def _ask(
        self, expected: type[R], request: bytes, wait: float,
        send: Callable[[Callable[[], None]], None] = lambda command: command(),
    ) -> R:  # fmt: skip
        self._transport.clear()
        start = self._clock()
        # Never the same twice, not for another process either: a late reply answers its own request alone.
        self._tag = max(self._tag + 1, int(start * 1e6))
        tag = f'{self._tag:x}' if self.is_checked else ''
        line_out = add_check(request.decode('ascii').strip(), tag).encode('ascii') + b'\n' if tag else request
        send(lambda: self._transport.write(line_out))
        noise = ''
        while (line := self._transport.read_line(start + wait)) is not None:
            reply = _read(line, tag)
            if isinstance(reply, expected):
                self.latency = self._clock() - start
                return reply
            if isinstance(reply, Refused):
                problem = f'servo board on {self._transport.port} refused'
                raise (_UnknownCommandError if reply.is_unknown_command else LinkError)(problem, found=reply.text)
            if reply is None:
                self.garbled += 1
                noise = line.text
                if not tag and isinstance(parse(noise), expected):
                    # Probably the reply, but part of it may be missing: no other one will come.
                    break
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


class _UnknownCommandError(LinkError):
    pass


def _read(line: Line, tag: str) -> Reply | None:
    # A refusal says that nothing was done, and half a line can't look like one or like `Stopped`: it carries no
    # number. A request that was damaged on its way is refused without a tag.
    plain = parse(line.text)
    if isinstance(plain, Refused):
        return plain
    if tag:
        text = remove_check(line.text, tag)
        return None if text is None else parse(text)
    return plain if line.is_whole or isinstance(plain, Stopped) else None
