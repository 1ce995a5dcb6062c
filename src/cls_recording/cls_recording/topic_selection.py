"""Which topics are recorded. No ROS here."""

from collections.abc import Sequence

from cls_common import comms
from cls_common.robot import RobotInfo

USUAL = (
    comms.COMPRESSED, comms.CAMERA_INFO, comms.JOINT_STATES, comms.ROBOT_INFO, comms.ROBOT_STATE, comms.ROBOT_ACTION,
    comms.APPLIED_ACTION, comms.MANUAL_ACTION, comms.EMBEDDING, comms.EXPERIENCE, comms.FAST_STATUS, comms.SLOW_STATUS,
    comms.DIAGNOSTICS,
)  # fmt: skip


def split_names(text: str) -> list[str]:
    """Returns the names in a comma-separated text."""
    return [name.strip() for name in text.split(',') if name.strip()]


def select(names: Sequence[str], *, clock: bool) -> list[str]:
    """Returns the topics to record: `names`, or the usual ones where there are none, then with /clock on request."""
    usual = [topic.name for topic in USUAL] + ([comms.CLOCK.name] if clock else [])
    return list(names) or usual


def observations(robot: RobotInfo) -> list[str]:
    """Returns the topics of a robot's observations that are no camera images."""
    return [comms.observation_topic(name).name for name in robot.modalities if name != 'camera']
