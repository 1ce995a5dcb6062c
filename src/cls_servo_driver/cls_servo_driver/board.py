"""The servo board over its transport: every request is answered, or the link is lost."""

from collections.abc import Callable
import time
from typing import TypeVar

from cls_common.driver.link import LinkError
from cls_common.driver.safety import StopLatch
from cls_common.errors import UserError

from .line_reader import SerialLine
from .protocol import (
    add_check,
    Angles,
    ASK_ANGLES,
    move_both,
    MoveConfirmation,
    parse,
    PositionSample,
    READY_BANNER,
    Refused,
    remove_check,
    Reply,
    set_timeout,
    STOP,
    Stopped,
    TimeoutSet,
)
from .safety import TOLERANCE_DEG
from .transport import SerialTransport

R = TypeVar('R', bound=Reply)

# A position is accepted when two consecutive reports are equal; maximum number of reports.
_REPORTS = 6
# The firmware supports no checks if this many checked requests in a row are unknown to it.
_CHECK_ATTEMPTS = 3
# Pause, s, before a request to the original firmware, which drops input that follows its reply closely.
_PAUSE = 0.02
# A stop is repeated after this time, s: torque is off within 50 ms even if one is lost.
_STOP_RETRY = 0.02


class PositionError(LinkError):
    """The board reports other angles than commanded: it has restarted, or another program commands it."""


class Board:
    """A connected board with known angles.

    Construction waits, discards old input, detects whether the firmware checks lines, reads the angles until two
    consecutive reports are equal, and sets the timeout if the firmware has one.

    With this project's firmware each request has a tag and a checksum, and only a reply with both is accepted. From the
    original firmware a reply with numbers is accepted only if its line is whole.

    Args:
        transport: closed here when the handshake fails.
        latch: blocks moves after an emergency stop.
        open_wait: s to read after opening, since a board may be starting.
        reply_timeout: s until a request counts as unanswered.
        timeout: s of silence after which the board switches its outputs off.

    Attributes:
        angles: degrees, last acknowledged.
        is_checked: replies have tag and checksum; False: the original firmware, or an older one of this project.
        has_timeout: the firmware switches outputs off by itself; False: the original, which never does.
        was_booting: its banner was received; angles are then 0,0 and nothing has moved yet.
        garbled: lines since opening that were no reply.
        repeats: requests that had to be repeated.
        latency: s from the last request to its reply.

    Raises:
        LinkError: no valid answer.
    """

    def __init__(
        self,
        transport: SerialTransport,
        latch: StopLatch,
        *,
        open_wait: float = 1.0,
        reply_timeout: float = 0.5,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
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
            self.is_checked = self._detect_check()
            self.angles = self._read_position()
            self.has_timeout = self._set_timeout(timeout)
        except UserError:
            transport.close()
            raise

    def move(self, angles: Angles) -> Angles:
        """Sends both servos to `angles`, degrees, and returns what the board acknowledged.

        Raises:
            StoppedError: the emergency stop is latched; nothing was sent.
            LinkError: not acknowledged, or with other angles; the servos' angles are unknown.
        """
        request = move_both(angles)
        reply = self._ask(MoveConfirmation, request, self._reply_timeout, self._latch.send)
        reported = [angle for angle in reply.angles if angle is not None]
        if len(reported) != 2 or max(abs(a - b) for a, b in zip(reported, angles)) > TOLERANCE_DEG:
            raise self._position_error(f'S1 and S2 at {angles}', f'{reply.angles}')
        self.angles = (reported[0], reported[1])
        return self.angles

    def check(self) -> None:
        """Reads the angles: keeps the outputs on, and detects a disconnected or restarted board."""
        reported = self._ask_with_retry(PositionSample, ASK_ANGLES).angles
        if max(abs(a - b) for a, b in zip(reported, self.angles)) > TOLERANCE_DEG:
            raise self._position_error(f'angles {self.angles}', f'{reported}; it has probably restarted')

    def stop(self) -> None:
        """Switches the outputs off and waits for the board's confirmation; repeated until it is received."""
        deadline = self._clock() + 2 * self._reply_timeout
        while True:
            try:
                self._ask(Stopped, STOP, _STOP_RETRY)
                return
            except LinkError:
                if self._clock() >= deadline:
                    raise
                self.repeats += 1

    def send_stop(self) -> None:
        """Sends the stop without waiting for the reply: for an emergency, from any thread."""
        self._transport.write(STOP)

    def close(self) -> None:
        """Closes the port. Does not switch torque off."""
        self._transport.close()

    def _detect_check(self) -> bool:
        # One damaged request must not look like firmware without checks.
        for _ in range(_CHECK_ATTEMPTS):
            self._transport.listen(_PAUSE)
            try:
                self._ask_with_retry(PositionSample, ASK_ANGLES)
            except _UnknownCommandError:
                continue
            return True
        return False

    def _read_position(self) -> Angles:
        reports: list[Angles] = []
        for _ in range(_REPORTS):
            reports.append(self._ask_with_retry(PositionSample, ASK_ANGLES).angles)
            if len(reports) > 1 and reports[-1] == reports[-2]:
                return reports[-1]
        raise LinkError(
            f'servo board on {self._transport.port} reports changing angles',
            expected='the same angles twice in a row',
            found='; '.join(map(str, reports)),
            do='Make sure that no other program commands it, and check the cable.',
        )

    def _set_timeout(self, seconds: float) -> bool:
        try:
            reply = self._ask_with_retry(TimeoutSet, set_timeout(seconds))
        except _UnknownCommandError:
            return False
        return abs(reply.seconds - seconds) <= 0.01

    def _ask_with_retry(self, expected: type[R], request: bytes) -> R:
        # For idempotent requests.
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
        self,
        expected: type[R],
        request: bytes,
        wait: float,
        send: Callable[[Callable[[], None]], None] = lambda command: command(),
    ) -> R:
        self._transport.clear()
        start = self._clock()
        # Unique, also across processes: a late reply matches its own request only.
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
                    # Probably the reply, but part of it may be missing; no other reply follows.
                    break
        raise LinkError(
            f'servo board on {self._transport.port} does not answer',
            expected=f'{expected.__name__} within {wait} s',
            found=repr(noise) if noise else 'silence',
            do='Check cable and power, that firmware/servo2040/main.py runs on it (press reset), and the port.',
        )

    def _position_error(self, expected: str, found: str) -> PositionError:
        return PositionError(
            f'servo board on {self._transport.port} has other angles',
            expected=expected,
            found=found,
            do='The driver reads its angles again.',
        )


class _UnknownCommandError(LinkError):
    pass


def _read(line: SerialLine, tag: str) -> Reply | None:
    # A refusal means that nothing was done, and a partial line can't look like one or like `Stopped`, which have no
    # number. A damaged request is refused without a tag.
    plain = parse(line.text)
    if isinstance(plain, Refused):
        return plain
    if tag:
        text = remove_check(line.text, tag)
        return None if text is None else parse(text)
    return plain if line.is_whole or isinstance(plain, Stopped) else None
