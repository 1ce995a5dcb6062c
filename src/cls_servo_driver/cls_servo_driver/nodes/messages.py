"""Between the driver's plain types and ROS messages."""

import math

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from cls_common.nodes.conversions import to_floats, to_nanoseconds, to_time
from cls_interfaces.msg import AppliedAction, RobotAction, RobotState

from ..answers import Action, Answer
from ..description import JOINTS, to_radians
from ..protocol import Angles
from ..safety import Refusal, State


def from_action(message: RobotAction, now: int, arrived: float) -> Action:
    """Reads an action; `now` in ns of the ROS clock, `arrived` in s of the steady clock."""
    stamp = to_nanoseconds(message.header.stamp)
    # An action without a stamp, as typed on a command line, is as old as its arrival.
    age = (now - stamp) * 1e-9 if stamp else 0.0
    return Action(
        source=message.source, sequence=message.sequence, values=tuple(float(v) for v in message.values), age=age,
        arrived=arrived,
    )  # fmt: skip


def to_applied(answer: Answer) -> AppliedAction:
    """Makes the answer's message."""
    return AppliedAction(
        source=answer.action.source,
        sequence=answer.action.sequence,
        commanded=to_floats(answer.action.values),
        applied=to_floats(answer.applied),
        joints_before=to_floats(to_radians(answer.before), 'd'),
        joints_after=to_floats(to_radians(answer.after), 'd'),
        start=to_time(answer.start),
        end=to_time(answer.end),
        error_code=int(answer.code),
        error_msg=answer.text,
        reward=math.nan,
    )


def to_state(state: State, reason: Refusal, stamp: Time) -> RobotState:
    """Makes the message of the robot's state."""
    message = RobotState(state=int(state), error_code=int(reason.code), error_msg=reason.text)
    message.header.stamp = stamp
    return message


def to_joint_state(angles: Angles, stamp: Time) -> JointState:
    """Makes the message of known joint angles, from degrees."""
    message = JointState(name=list(JOINTS), position=to_floats(to_radians(angles), 'd'))
    message.header.stamp = stamp
    return message
