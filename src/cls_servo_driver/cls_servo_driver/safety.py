"""Safety of the servos: limits, refusals, stop latch. Pure functions and state; no motion by default."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
import math
import threading

from cls_common.errors import UserError

from .protocol import Angles

# Angles are equal within this: they are sent with two decimals, and the board computes in 32 bits.
TOLERANCE_DEG = 0.011
# Tolerance in hundredths of a degree for limits with two decimals in binary floating point.
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


class DriverState(IntEnum):
    """Values equal the constants of cls_interfaces RobotState."""

    READY = 0
    MOVING = 1
    STOPPED = 2
    FAULT = 3


@dataclass(frozen=True)
class Refusal:
    """Reason why an action is not carried out: error code and text."""

    code: Code
    text: str


@dataclass(frozen=True)
class MotionLimits:
    """Limits of angles and steps. Degrees, order (pan, tilt).

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
    """Refuses values that are not exactly two finite numbers, before clamping could turn NaN into a limit."""
    if len(values) != 2:
        return Refusal(Code.WRONG_LENGTH, f'an action has 2 values, pan and tilt; found {len(values)}')
    if not all(math.isfinite(value) for value in values):
        return Refusal(Code.NON_FINITE, f'both values must be finite; found {list(values)}')
    return None


def check_age(age: float, limit: float) -> Refusal | None:
    """Refuses an action stamped more than `limit` s ago, or that far in the future (clocks differ)."""
    if age > limit:
        return Refusal(Code.TOO_OLD, f'the action is {age:.2f} s old, the limit is {limit:.2f} s')
    if age < -limit:
        return Refusal(Code.TOO_OLD, f'the action is stamped {-age:.2f} s in the future: synchronise the clocks')
    return None


@dataclass(frozen=True)
class PositionBounds:
    """Lower and upper bounds of each servo's angle, degrees.

    Equal after an acknowledged move. Wider while a move is not acknowledged, or if the board reports other angles than
    were acknowledged: the servos may then be at either.
    """

    low: Angles
    high: Angles

    @classmethod
    def at(cls, angles: Angles) -> 'PositionBounds':
        """Returns the bounds of a known position."""
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


def next_angles(limits: MotionLimits, current: Angles, bounds: PositionBounds, delta: Angles, elapsed: float) -> Angles:
    """Returns the target of a relative action, degrees with two decimals, as sent to the board.

    At most `max_delta` from every angle within `bounds`, for any arguments.

    Args:
        current: angles that the board reports. Outside the limits they are moved back.
        bounds: possible angles; not wider than `max_delta`.
        delta: wanted change, any finite numbers.
        elapsed: s since the last move; used by the rate limit only.

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
            bounds.high[i] - reach,
            bounds.low[i] + reach,
        )
        for i in (0, 1)
    )
    return pan, tilt


def _step(wanted: float, low: float, high: float) -> float:
    # In hundredths, rounded inwards. If the rate limit leaves no angle in reach of both bounds, the middle.
    first, last = math.ceil(100 * low - _ROUNDING), math.floor(100 * high + _ROUNDING)
    if first > last:
        return round((low + high) / 2, 2)
    return _clamp(round(100 * wanted), first, last) / 100


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


class StoppedError(Exception):
    """The emergency stop is latched: nothing was sent."""


class StopLatch:
    """An emergency stop that blocks all later commands, from any thread.

    Sending and latching exclude each other: a command is either on the wire before the stop, or never sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_engaged = False

    @property
    def is_engaged(self) -> bool:
        """Whether all motion is refused."""
        return self._is_engaged

    def engage(self, send_stop: Callable[[], None]) -> None:
        """Latches, then sends the stop; latched even if sending fails."""
        with self._lock:
            self._is_engaged = True
            send_stop()

    def release(self) -> None:
        """Allows commands again."""
        with self._lock:
            self._is_engaged = False

    def send(self, command: Callable[[], None]) -> None:
        """Runs `command`, which must not wait for a reply; raises StoppedError if latched."""
        with self._lock:
            if self._is_engaged:
                raise StoppedError
            command()


class Guard:
    """Whether the robot may move and whether its torque is on. Starts in fault: position unknown.

    Attributes:
        latch: the emergency stop.
        torque: True, False, or None if unknown (a board that does not answer).
        off_confirmed: the board confirmed that its outputs are off since the latch engaged.
    """

    def __init__(self) -> None:
        self.latch = StopLatch()
        self.torque: bool | None = None
        self.off_confirmed = False
        self._fault: Refusal | None = Refusal(Code.POSITION_UNKNOWN, 'the board has not reported its angles yet')
        self._jump: Refusal | None = None
        self._note: Refusal | None = None
        self._is_moving = False

    @property
    def state(self) -> DriverState:
        """Stopped before fault before moving."""
        if self.latch.is_engaged:
            return DriverState.STOPPED
        if self._fault is not None or self._jump is not None:
            return DriverState.FAULT
        return DriverState.MOVING if self._is_moving else DriverState.READY

    @property
    def reason(self) -> Refusal:
        """Reason for the state; Code.NONE and no text if there is none."""
        if self.latch.is_engaged:
            fault = self._fault or self._jump
            besides = f' Also: {fault.text}' if fault else ''
            return Refusal(Code.EMERGENCY_STOP, 'emergency stop, torque off; call rearm to continue.' + besides)
        return self._fault or self._jump or self._note or Refusal(Code.NONE, '')

    @property
    def needs_rearm(self) -> bool:
        """Whether motion requires `rearm`; torque has to be off."""
        return self.latch.is_engaged or self._jump is not None

    @property
    def knows_position(self) -> bool:
        """Whether reported angles are accepted."""
        return self._jump is None

    def refuse(self) -> Refusal | None:
        """Returns the reason to refuse actions now, or None."""
        if self.state in (DriverState.STOPPED, DriverState.FAULT):
            return Refusal(Code.NOT_READY, self.reason.text)
        return None

    def linked(self) -> None:
        """Records that the board answers and its angles are known."""
        self._fault = None

    def position_jumped(self, text: str) -> None:
        """Records angles that no move explains: no motion and no torque until `rearm`."""
        self._jump = Refusal(Code.POSITION_UNKNOWN, text)
        self.off_confirmed = False

    def rearm(self) -> None:
        """Ends an emergency stop and accepts the reported angles; called on request of a person."""
        self._jump = None
        self.latch.release()

    def lost(self, text: str, code: Code = Code.STATE_LINK_LOST) -> None:
        """Records a lost board or an unknown position: no motion until `linked`."""
        self._fault = Refusal(code, text)
        self._is_moving = False
        self.torque = None
        self.off_confirmed = False

    def moving(self) -> None:
        """Records a move that is being sent; it switches torque on."""
        self._is_moving = True
        self._note = None
        self.torque = True
        self.off_confirmed = False

    def moved(self) -> None:
        """Records that the move was acknowledged, or was not sent."""
        self._is_moving = False

    def torque_off(self, note: str = '') -> None:
        """Records that the outputs are off; `note` is the reason if the next action may switch them on."""
        self._note = Refusal(Code.COMMAND_TOO_OLD, note) if note else None
        self.torque = False
        self.off_confirmed = True
