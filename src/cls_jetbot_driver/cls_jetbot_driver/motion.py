"""Motor values and their course over time, as pure functions: forward only, ramps, 0 at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

from cls_common.errors import UserError

# As in the original system: linear, 4 steps of 15 ms up and as many down; the full value is held for the rest of the
# duration.
RAMP_STEPS = 4
RAMP_STEP = 0.015
RAMP = RAMP_STEPS * RAMP_STEP
# Times are sums of binary fractions.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Motors:
    """Values of both motors, 0 (still) to 1 (full speed ahead)."""

    left: float = 0.0
    right: float = 0.0


STILL = Motors()


@dataclass(frozen=True)
class Setpoint:
    """Motor values from a time on, s from the start of the action."""

    time: float
    motors: Motors


def check_motors(motors: Motors, limit: float) -> Motors:
    """Returns motor values that may be sent.

    Raises:
        UserError: a value is not finite, negative (backward) or above `limit`.
    """
    for name, value in (('left', motors.left), ('right', motors.right)):
        if not (math.isfinite(value) and 0.0 <= value <= limit):
            raise UserError(f'motor {name}', expected=f'0 (no backward motion) to {limit}', found=str(value))
    return motors


def action_table(left: Sequence[float], right: Sequence[float], limit: float) -> tuple[Motors, ...]:
    """Returns the actions by number: every combination of the motors' values, those of `right` changing first.

    Raises:
        UserError: no values, or one that may not be sent.
    """
    table = tuple(check_motors(Motors(one, other), limit) for one in left for other in right)
    if not table:
        raise UserError('actions of the JetBot', expected='at least one value for each motor', found='none')
    return table


def course(motors: Motors, duration: float) -> tuple[Setpoint, ...]:
    """Returns the setpoints of one action: ramp up, hold, ramp down to 0.

    The full value is reached `RAMP` s after the start, the ramp down begins at `duration`, and its last setpoint is 0.

    Args:
        duration: s from the first setpoint to the ramp down; at least `RAMP`.

    Raises:
        UserError: `duration` is not finite or shorter than the ramp.
    """
    if not (math.isfinite(duration) and duration >= RAMP - _ROUNDING):
        raise UserError('duration of an action', expected=f'at least {RAMP} s, the ramp', found=f'{duration} s')
    steps = range(1, RAMP_STEPS + 1)
    up = [(RAMP_STEP * (step - 1), step / RAMP_STEPS) for step in steps]
    down = [(duration + RAMP_STEP * (step - 1), 1.0 - step / RAMP_STEPS) for step in steps]
    return tuple(Setpoint(time, Motors(share * motors.left, share * motors.right)) for time, share in (*up, *down))


def to_index(value: float, count: int) -> int:
    """Returns the number of an action, 0 to `count` - 1, from a finite value: rounded half up, clipped."""
    return int(min(max(math.floor(value + 0.5), 0), count - 1))
