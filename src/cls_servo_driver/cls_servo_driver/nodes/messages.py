"""Conversion between the driver's types and ROS messages."""

import math

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from cls_common.nodes.conversions import to_floats, to_nanoseconds, to_time
from cls_interfaces.msg import AppliedAction, RobotAction, RobotState

from ..action_results import ActionResult, ServoAction
from ..description import JOINTS, to_radians
from ..protocol import Angles
from ..safety import DriverState, Refusal


def from_action(message: RobotAction, now: int, arrived: float) -> ServoAction:
    """Converts an action; `now` in ns of the ROS clock, `arrived` in s of the steady clock."""
    stamp = to_nanoseconds(message.header.stamp)
    # An action without a stamp, as from a command line, gets its arrival time.
    age = (now - stamp) * 1e-9 if stamp else 0.0
    return ServoAction(
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
        joints_before=to_floats(to_radians(result.before), 'd'),
        joints_after=to_floats(to_radians(result.after), 'd'),
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


def to_joint_state(angles: Angles, stamp: Time) -> JointState:
    """Converts joint angles from degrees."""
    message = JointState(name=list(JOINTS), position=to_floats(to_radians(angles), 'd'))
    message.header.stamp = stamp
    return message
