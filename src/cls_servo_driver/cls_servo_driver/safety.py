"""Limits of the servos, as pure functions; no motion when in doubt."""

from dataclasses import dataclass
import math

from cls_common.errors import UserError

from .protocol import Angles

# Angles are equal within this: they are sent with two decimals, and the board computes in 32 bits.
TOLERANCE_DEG = 0.011
# Tolerance in hundredths of a degree for limits with two decimals in binary floating point.
_ROUNDING = 1e-6


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
