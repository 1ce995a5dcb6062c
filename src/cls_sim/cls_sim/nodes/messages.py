"""Conversion of the simulator's outputs to ROS messages."""

import math

from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from std_msgs.msg import Header

from cls_common.images import to_jpeg
from cls_common.nodes.conversions import to_floats, to_time
from cls_interfaces.msg import AppliedAction, Observation, RobotState

from ..pace import CommandResult, Status
from ..robot import SensorFrame

CAMERA_FRAME = 'camera_link_optical'


def header(stamp_ns: int, frame_id: str = '') -> Header:
    """Makes a header of a time in ns."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


def to_applied_action(result: CommandResult) -> AppliedAction:
    """Converts the result of an action."""
    motion = result.motion
    return AppliedAction(
        source=result.command.source,
        sequence=result.command.sequence,
        commanded=to_floats(motion.commanded),
        applied=to_floats(motion.applied),
        joints_before=to_floats(motion.joints_before, 'd'),
        joints_after=to_floats(motion.joints, 'd'),
        start=to_time(motion.start_ns),
        end=to_time(motion.end_ns),
        error_code=int(result.code),
        error_msg=result.text,
        reward=motion.reward,
        terminal=motion.terminal,
        truncated=motion.truncated,
    )


def to_compressed(frame: SensorFrame) -> CompressedImage:
    """Converts the image of a frame to JPEG."""
    assert frame.image is not None
    message = CompressedImage(header=header(frame.stamp_ns, CAMERA_FRAME), format='jpeg')
    message.data.frombytes(to_jpeg(frame.image))
    return message


def to_camera_info(frame: SensorFrame, view_deg: tuple[float, float] | None) -> CameraInfo:
    """Makes the calibration: a pinhole camera with the field of view, or zeros ("not calibrated") without one."""
    assert frame.image is not None
    height, width, _ = frame.image.shape
    message = CameraInfo(header=header(frame.stamp_ns, CAMERA_FRAME), height=height, width=width)
    if view_deg is not None:
        fx, fy = (s / 2 / math.tan(math.radians(v) / 2) for s, v in zip((width, height), view_deg))
        cx, cy = (width - 1) / 2, (height - 1) / 2
        message.distortion_model = 'plumb_bob'
        message.d = [0.0] * 5
        message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
        message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def to_observations(frame: SensorFrame) -> list[Observation]:
    """Converts the other modalities, one message each."""
    return [
        Observation(header=header(frame.stamp_ns), modality=modality, data=to_floats(values))
        for modality, values in frame.observations.items()
    ]


def to_joint_state(frame: SensorFrame, names: tuple[str, ...]) -> JointState:
    """Converts the joint angles of a frame."""
    return JointState(header=header(frame.stamp_ns), name=list(names), position=to_floats(frame.joints, 'd'))


def to_robot_state(status: Status, now_ns: int) -> RobotState:
    """Converts the robot's state."""
    message = RobotState(header=header(now_ns), state=int(status))
    if status is Status.STOPPED:
        message.error_code = RobotState.EMERGENCY_STOP
        message.error_msg = 'emergency_stop was called; call rearm'
    return message
