"""What a recording is made of, for the player: raw messages, and of them only what order and pace need."""

from dataclasses import dataclass
import struct
from typing import Any

from rosbags.serde import SerdeError

from cls_common import comms
from cls_common.errors import UserError

from ..definitions import installed
from ..reader import RawEvent

# Not by their stamps: they say what holds from now on, and were perhaps said long before.
_UNSTAMPED = (comms.ROBOT_INFO.name, comms.ROBOT_STATE.name)


@dataclass(frozen=True)
class Motion:
    """What the player has to know of a recorded AppliedAction: who asked, float values (A,), ns, how it ended."""

    key: tuple[str, int]
    commanded: tuple[float, ...]
    start_ns: int
    end_ns: int
    is_refused: bool = False
    ends_episode: bool = False


@dataclass(frozen=True)
class Item:
    """One message to publish as it is.

    Attributes:
        log_ns: when it was recorded.
        stamp_ns: of its image or reading, an action's end; None where its place is where it was recorded (a refused
            action moved nothing, so that its times say nothing).
    """

    topic: str
    type: str
    log_ns: int
    stamp_ns: int | None
    data: bytes
    motion: Motion | None = None


@dataclass(frozen=True)
class Break:
    """What follows does not follow from what came before.

    Attributes:
        info: the robot's description from here on, CDR of cls_interfaces/RobotInfo; None: as before.
        log_ns: when it was recorded.
    """

    log_ns: int
    info: bytes | None = None


def to_item(event: RawEvent) -> Item:
    """Reads the stamp of a recorded message; raises UserError where it is damaged."""
    motion, stamp = None, None
    try:
        if event.topic == comms.APPLIED_ACTION.name:
            motion = _motion(installed().deserialize_cdr(event.data, event.type))
            stamp = None if motion.is_refused else motion.end_ns
        elif event.topic not in _UNSTAMPED:
            stamp = header_stamp(event.data)
    except (SerdeError, struct.error, KeyError, ValueError, AssertionError, IndexError) as error:
        raise UserError(
            f'recorded {event.topic} at log time {event.time_ns} ns',
            expected=f'a whole {event.type}',
            found=repr(error),
        ) from error
    return Item(event.topic, event.type, event.time_ns, stamp, event.data, motion)


def header_stamp(data: bytes) -> int:
    """Returns the stamp, ns, of a CDR message whose first field is a std_msgs/Header.

    Four bytes say the encoding (bit 0 of the second: little-endian), then come seconds and nanoseconds.
    """
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _motion(message: Any) -> Motion:
    return Motion(
        key=(str(message.source), int(message.sequence)), commanded=tuple(map(float, message.commanded)),
        start_ns=_ns(message.start), end_ns=_ns(message.end), is_refused=message.error_code != 0,
        ends_episode=bool(message.terminal or message.truncated),
    )  # fmt: skip


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
