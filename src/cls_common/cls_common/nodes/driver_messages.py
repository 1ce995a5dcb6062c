"""Conversion between the types of robot drivers and ROS messages."""

import math

from builtin_interfaces.msg import Time

from cls_interfaces.msg import AppliedAction, RobotAction, RobotState

from ..driver.actions import ActionResult, DriverAction
from ..driver.safety import DriverState, Refusal
from .conversions import to_floats, to_nanoseconds, to_time


def from_action(message: RobotAction, now: int, arrived: float) -> DriverAction:
    """Converts an action; `now` in ns of the ROS clock, `arrived` in s of the steady clock."""
    stamp = to_nanoseconds(message.header.stamp)
    # An action without a stamp, as from a command line, gets its arrival time.
    age = (now - stamp) * 1e-9 if stamp else 0.0
    return DriverAction(
        source=message.source,
        sequence=message.sequence,
        values=tuple(float(v) for v in message.values),
        age=age,
        arrived=arrived,
    )


def to_applied_action(result: ActionResult) -> AppliedAction:
    """Converts a result."""
    return AppliedAction(
        source=result.action.source,
        sequence=result.action.sequence,
        commanded=to_floats(result.action.values),
        applied=to_floats(result.applied),
        joints_before=to_floats(_to_radians(result.before), 'd'),
        joints_after=to_floats(_to_radians(result.after), 'd'),
        start=to_time(result.start),
        end=to_time(result.end),
        error_code=int(result.code),
        error_msg=result.text,
        reward=math.nan,
    )


def to_state(state: DriverState, reason: Refusal, stamp: Time) -> RobotState:
    """Converts the driver's state."""
    message = RobotState(state=int(state), error_code=int(reason.code), error_msg=reason.text)
    message.header.stamp = stamp
    return message


def _to_radians(angles: tuple[float, ...] | None) -> tuple[float, ...]:
    return tuple(map(math.radians, angles)) if angles else ()
