"""Elements of a replay: raw messages with the fields that order and timing need, and boundaries."""

from dataclasses import dataclass
import struct
from typing import Any

from rosbags.serde import SerdeError

from cls_common import comms
from cls_common.errors import UserError
from cls_common.stamps import to_nanoseconds

from .. import cdr_fields
from ..definitions import installed
from ..reader import RawEvent

# Ordered by log time: their content holds from then on, and their stamp may be much older.
_UNSTAMPED = (comms.ROBOT_INFO.name, comms.ROBOT_STATE.name)


@dataclass(frozen=True)
class RecordedAction:
    """Fields of a recorded AppliedAction that the player needs: source and sequence, values (A,), times in ns, end."""

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
        stamp_ns: of its image or measurement, or an action's end; None: ordered by log time (as a refused action,
            which moved nothing, so that its times mean nothing).
    """

    topic: str
    type: str
    log_ns: int
    stamp_ns: int | None
    data: bytes
    action: RecordedAction | None = None


@dataclass(frozen=True)
class Boundary:
    """The messages after it do not continue those before it.

    Attributes:
        info: the robot's description from here on, CDR of cls_interfaces/RobotInfo; None: as before.
        log_ns: when it was recorded.
    """

    log_ns: int
    info: bytes | None = None


def to_item(event: RawEvent) -> Item:
    """Reads the stamp of a recorded message; raises UserError for a damaged one."""
    action, stamp = None, None
    try:
        if event.topic == comms.APPLIED_ACTION.name:
            action = _recorded_action(installed().deserialize_cdr(event.data, event.type))
            stamp = None if action.is_refused else action.end_ns
        elif event.topic not in _UNSTAMPED:
            stamp = cdr_fields.stamp(event.data)
    except (SerdeError, struct.error, KeyError, ValueError, AssertionError, IndexError) as error:
        raise UserError(
            f'recorded {event.topic} at log time {event.time_ns} ns',
            expected=f'a whole {event.type}',
            found=repr(error),
        ) from error
    return Item(event.topic, event.type, event.time_ns, stamp, event.data, action)


def _recorded_action(message: Any) -> RecordedAction:
    return RecordedAction(
        key=(str(message.source), int(message.sequence)),
        commanded=tuple(map(float, message.commanded)),
        start_ns=to_nanoseconds(message.start),
        end_ns=to_nanoseconds(message.end),
        is_refused=message.error_code != 0,
        ends_episode=bool(message.terminal or message.truncated),
    )
