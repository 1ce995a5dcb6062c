"""Lines between host and servo board: requests as bytes, replies as types, and the check on both.

ASCII, one line each way, ended by newline. `firmware/servo2040/main.py` is the other side.
"""

import binascii
from dataclasses import dataclass
import math
import re

Angles = tuple[float, float]

READY_BANNER = 'Stable Servo Control Ready'
# The last of the three lines that this project's firmware sends when it starts.
LAST_BANNER = 'Outputs off until the first move'
ASK_ANGLES = b'angles\n'
STOP = b'stop\n'


@dataclass(frozen=True)
class MoveConfirmation:
    """Acknowledgement of a move; `angles` in degrees after clamping, None for a servo that was not addressed."""

    angles: tuple[float | None, float | None]


@dataclass(frozen=True)
class PositionSample:
    """Angles last commanded, degrees: the board has no position sensors."""

    angles: Angles


@dataclass(frozen=True)
class Stopped:
    """Outputs are off until the next move."""


@dataclass(frozen=True)
class TimeoutSet:
    """Outputs are switched off after this time without a valid line; not sent by the original firmware."""

    seconds: float


@dataclass(frozen=True)
class Refused:
    """`Unknown command`, `Error` or `Input error: ...`: nothing was done."""

    text: str

    @property
    def is_unknown_command(self) -> bool:
        """The firmware has no such command."""
        return self.text == 'Unknown command'


Reply = MoveConfirmation | PositionSample | Stopped | TimeoutSet | Refused

# Format of the board's floats: with a decimal point, so that a line truncated within a number does not match. A clamped
# one may be an integer, and a tiny one has an exponent.
_NUMBER = r'(-?(?:\d{1,2}\.\d+(?:e-\d{2,3})?|\de-\d{2,3}|90))'
_AT = re.compile(rf'{_NUMBER},{_NUMBER}')
_BOTH_SERVOS = re.compile(rf'S1:{_NUMBER} S2:{_NUMBER}')
_FIRST = re.compile(rf'S1:{_NUMBER}')
_SECOND = re.compile(rf'S2:{_NUMBER}')
_SAME = re.compile(rf'Both:{_NUMBER}')
_TIMEOUT = re.compile(rf'Timeout:{_NUMBER}')


def move_both(angles: Angles) -> bytes:
    """Encodes `servos <deg1> <deg2>` with two decimals; raises ValueError for a non-finite angle."""
    return f'servos {_decimal(angles[0])} {_decimal(angles[1])}\n'.encode('ascii')


def move_one(servo: int, angle: float) -> bytes:
    """Encodes `servo1 <deg>` or `servo2 <deg>`."""
    if servo not in (1, 2):
        raise ValueError(f'servo must be 1 or 2, found {servo}')
    return f'servo{servo} {_decimal(angle)}\n'.encode('ascii')


def move_same(angle: float) -> bytes:
    """Encodes `both <deg>`."""
    return f'both {_decimal(angle)}\n'.encode('ascii')


def set_timeout(seconds: float) -> bytes:
    """Encodes `timeout <seconds>`, which the original firmware answers with `Unknown command`."""
    return f'timeout {_decimal(seconds)}\n'.encode('ascii')


def parse(line: str) -> Reply | None:
    """Parses a reply without check; None for anything else, such as the banner, noise, or angles beyond 90 degrees."""
    text = line.removesuffix('\r')
    if text == 'Stopped':
        return Stopped()
    if text in ('Unknown command', 'Error') or text.startswith('Input error:'):
        return Refused(text)
    if match := _AT.fullmatch(text):
        return PositionSample((float(match[1]), float(match[2])))
    if match := _BOTH_SERVOS.fullmatch(text):
        return MoveConfirmation((float(match[1]), float(match[2])))
    if match := _FIRST.fullmatch(text):
        return MoveConfirmation((float(match[1]), None))
    if match := _SECOND.fullmatch(text):
        return MoveConfirmation((None, float(match[1])))
    if match := _SAME.fullmatch(text):
        return MoveConfirmation((float(match[1]), float(match[1])))
    if match := _TIMEOUT.fullmatch(text):
        return TimeoutSet(float(match[1]))
    return None


def add_check(line: str, tag: str) -> str:
    """Returns `<line>#<tag>*<sum>`, which the firmware verifies and answers in the same form with the same tag."""
    body = f'{line}#{tag}'
    return f'{body}*{binascii.crc_hqx(body.encode("ascii"), 0xFFFF):04X}'


def remove_check(line: str, tag: str) -> str | None:
    """Returns the text of a checked line; None if the sum is wrong or the tag is of another request."""
    text = line.partition('#')[0]
    return text if text.isascii() and line == add_check(text, tag) else None


def _decimal(number: float) -> str:
    if not math.isfinite(number):
        raise ValueError(f'a finite number is needed, found {number}')
    return f'{number:.2f}'
