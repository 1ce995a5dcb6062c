"""What keeps the servos safe: pure, small, and by default without motion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
import math
import threading

from cls_common.errors import UserError

from .protocol import Angles

# Angles are alike within this: two decimals go out, and the board computes in 32 bits.
TOLERANCE_DEG = 0.011
# Of hundredths of a degree: what binary fractions add to a limit of two decimals.
_ROUNDING = 1e-6


class Code(IntEnum):
    """Error codes; values equal the constants of cls_interfaces RobotState (20x) and AppliedAction (21x)."""

    NONE = 0
    STATE_LINK_LOST = 200
    POSITION_UNKNOWN = 201
    COMMAND_TOO_OLD = 202
    EMERGENCY_STOP = 203
    NON_FINITE = 210
    WRONG_LENGTH = 211
    NOT_READY = 212
    TOO_OLD = 213
    LINK_LOST = 214


class State(IntEnum):
    """Values equal the constants of cls_interfaces RobotState."""

    READY = 0
    MOVING = 1
    STOPPED = 2
    FAULT = 3


@dataclass(frozen=True)
class Refusal:
    """Why an action is not carried out: a code for programs, a sentence for people."""

    code: Code
    text: str


@dataclass(frozen=True)
class Limits:
    """Where the servos may go and how far at once. Degrees, order (pan, tilt).

    Attributes:
        low, high: angles.
        max_delta: largest change by one action, each axis.
        rate: largest mean speed from one action to the next, deg/s; 0: any.
    """

    low: Angles = (-90.0, -40.0)
    high: Angles = (90.0, 40.0)
    max_delta: float = 10.0
    rate: float = 0.0


def check_values(values: Sequence[float]) -> Refusal | None:
    """Refuses what is not exactly two finite numbers, before any clamping could turn a NaN into a limit."""
    if len(values) != 2:
        return Refusal(Code.WRONG_LENGTH, f'an action has 2 values, pan and tilt; found {len(values)}')
    if not all(math.isfinite(value) for value in values):
        return Refusal(Code.NON_FINITE, f'both values must be finite; found {list(values)}')
    return None


def check_age(age: float, limit: float) -> Refusal | None:
    """Refuses an action decided more than `limit` s ago, or that far in the future: then clocks differ."""
    if age > limit:
        return Refusal(Code.TOO_OLD, f'the action is {age:.2f} s old, the limit is {limit:.2f} s')
    if age < -limit:
        return Refusal(Code.TOO_OLD, f'the action is stamped {-age:.2f} s in the future: set the clocks alike')
    return None


@dataclass(frozen=True)
class PositionBounds:
    """Between which angles each servo is known to stand, degrees.

    One point after an acknowledged move. Wider while a move is not acknowledged, or where the board reports other
    angles than were acknowledged: the servos then stand at either.
    """

    low: Angles
    high: Angles

    @classmethod
    def at(cls, angles: Angles) -> 'PositionBounds':
        """Returns the bounds of a position that is certain."""
        return cls(angles, angles)

    def including(self, angles: Angles) -> 'PositionBounds':
        """Returns bounds that hold `angles` as well."""
        pan, tilt = angles
        return PositionBounds(
            (min(self.low[0], pan), min(self.low[1], tilt)), (max(self.high[0], pan), max(self.high[1], tilt))
        )

    def is_within(self, step: float) -> bool:
        """Whether the bounds of each servo are at most `step` apart, to the precision of the board."""
        return all(high - low <= step + TOLERANCE_DEG for low, high in zip(self.low, self.high))


def next_angles(limits: Limits, current: Angles, bounds: PositionBounds, delta: Angles, elapsed: float) -> Angles:
    """Returns where a relative action may lead, degrees with two decimals, as the board gets them.

    Never farther than `max_delta` from any angle within `bounds`, whatever else is asked.

    Args:
        current: where the servos are, as the board reports. Outside the limits it is led back.
        bounds: where they may stand; not wider than `max_delta`.
        delta: wanted change, any finite numbers.
        elapsed: s since the last move; only the rate limit asks.

    Raises:
        UserError: a number is not finite, or the bounds are too wide for any move.
    """
    if not all(map(math.isfinite, (*current, *bounds.low, *bounds.high, *delta))):
        raise UserError('move of the servos', expected='finite angles', found=f'{current}, {bounds} and {delta}')
    if not bounds.is_within(limits.max_delta):
        raise UserError('move of the servos', expected='a known position', found=f'{bounds}', do='Call rearm.')
    reach = limits.max_delta if limits.rate <= 0 else min(limits.max_delta, limits.rate * max(elapsed, 0.0))
    pan, tilt = (
        _step(
            _clamp(current[i] + _clamp(delta[i], -limits.max_delta, limits.max_delta), limits.low[i], limits.high[i]),
            bounds.high[i] - reach, bounds.low[i] + reach,
        )
        for i in (0, 1)
    )  # fmt: skip
    return pan, tilt


def _step(wanted: float, low: float, high: float) -> float:
    # In hundredths, rounded inwards. Where a rate limit leaves no angle in reach of both bounds, half way.
    first, last = math.ceil(100 * low - _ROUNDING), math.floor(100 * high + _ROUNDING)
    if first > last:
        return round((low + high) / 2, 2)
    return _clamp(round(100 * wanted), first, last) / 100


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


class StoppedError(Exception):
    """The emergency stop is latched: nothing was sent."""


class StopLatch:
    """An emergency stop that no later command can slip past, whichever threads they come from.

    Sending and latching exclude each other: a command is either on the wire before the stop, or never sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_engaged = False

    @property
    def is_engaged(self) -> bool:
        """Whether everything that moves is refused."""
        return self._is_engaged

    def engage(self, send_stop: Callable[[], None]) -> None:
        """Latches, then sends the stop; latched even where sending fails."""
        with self._lock:
            self._is_engaged = True
            send_stop()

    def release(self) -> None:
        """Lets commands through again."""
        with self._lock:
            self._is_engaged = False

    def send(self, command: Callable[[], None]) -> None:
        """Runs `command`, which must not wait for an answer; raises StoppedError when latched."""
        with self._lock:
            if self._is_engaged:
                raise StoppedError
            command()


class Guard:
    """Whether the robot may move and whether its torque is on. Starts in fault: position unknown.

    Attributes:
        latch: the emergency stop.
        torque: True, False, or None where nobody knows (a board that does not answer).
        off_confirmed: the board said that its outputs are off since the latch engaged.
    """

    def __init__(self) -> None:
        self.latch = StopLatch()
        self.torque: bool | None = None
        self.off_confirmed = False
        self._fault: Refusal | None = Refusal(Code.POSITION_UNKNOWN, 'the board has not told its angles yet')
        self._jump: Refusal | None = None
        self._note: Refusal | None = None
        self._is_moving = False

    @property
    def state(self) -> State:
        """Stopped before fault before moving."""
        if self.latch.is_engaged:
            return State.STOPPED
        if self._fault is not None or self._jump is not None:
            return State.FAULT
        return State.MOVING if self._is_moving else State.READY

    @property
    def reason(self) -> Refusal:
        """Why the state is as it is; Code.NONE and no text where all is well."""
        if self.latch.is_engaged:
            fault = self._fault or self._jump
            besides = f' Besides: {fault.text}' if fault else ''
            return Refusal(Code.EMERGENCY_STOP, 'emergency stop, torque off; call rearm to go on.' + besides)
        return self._fault or self._jump or self._note or Refusal(Code.NONE, '')

    @property
    def needs_rearm(self) -> bool:
        """Whether only `rearm` lets anything move again; torque has to be off."""
        return self.latch.is_engaged or self._jump is not None

    @property
    def knows_position(self) -> bool:
        """Whether reported angles are believed."""
        return self._jump is None

    def refuse(self) -> Refusal | None:
        """Returns why no action may be taken now, or None."""
        if self.state in (State.STOPPED, State.FAULT):
            return Refusal(Code.NOT_READY, self.reason.text)
        return None

    def linked(self) -> None:
        """The board answers and its angles are known."""
        self._fault = None

    def position_jumped(self, text: str) -> None:
        """The board reports angles that no move led to: no motion and no torque until `rearm`."""
        self._jump = Refusal(Code.POSITION_UNKNOWN, text)
        self.off_confirmed = False

    def rearm(self) -> None:
        """A person vouches for the robot: ends an emergency stop, and believes the angles reported."""
        self._jump = None
        self.latch.release()

    def lost(self, text: str, code: Code = Code.STATE_LINK_LOST) -> None:
        """The board does not answer, or its position is not known any more: no motion until `linked`."""
        self._fault = Refusal(code, text)
        self._is_moving = False
        self.torque = None
        self.off_confirmed = False

    def moving(self) -> None:
        """A move goes out: torque comes with it."""
        self._is_moving = True
        self._note = None
        self.torque = True
        self.off_confirmed = False

    def moved(self) -> None:
        """The move was acknowledged, or was not sent."""
        self._is_moving = False

    def torque_off(self, note: str = '') -> None:
        """The board said that its outputs are off; `note` tells why, where the next action may end it."""
        self._note = Refusal(Code.COMMAND_TOO_OLD, note) if note else None
        self.torque = False
        self.off_confirmed = True
