"""Reads a session: a rosbag2 folder of ours, or one that `ros2 bag record` made, in MCAP or sqlite3. No ROS here."""

from collections.abc import Collection, Iterator
import contextlib
from dataclasses import dataclass
from pathlib import Path
import struct
from types import TracebackType
from typing import Any

import apsw
from backports import zstd
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo

from . import bag
from .definitions import Definitions
from .session import SessionInfo
from .topic_names import relative_names

# Whatever a parser of foreign bytes may raise.
_BROKEN = (
    ReaderError, SerdeError, TypesysError, zstd.ZstdError, apsw.Error, struct.error, ArithmeticError, AssertionError,
    EOFError, LookupError, MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class TopicSummary:
    """Type of a topic, and how many messages of it were recorded."""

    type: str
    count: int


@dataclass(frozen=True)
class RawEvent:
    """One recorded message: relative topic name, type, log time in ns, CDR."""

    topic: str
    type: str
    time_ns: int
    data: bytes


@dataclass(frozen=True)
class Event:
    """One recorded message: relative topic name, type, log time in ns, and what it says (attributes as in .msg)."""

    topic: str
    type: str
    time_ns: int
    message: Any


class SessionReader:
    """An open session; close it, or use it in a `with`.

    Args:
        path: the session's folder.

    Raises:
        UserError: not a bag, empty, cut off, being recorded, of another robot's kind, or written by a newer version.

    Attributes:
        path: as given.
        info: what it says of itself; robot by its custom data or by `robot/info`, None where neither is there.
        topics: type and count by relative name, as in `comms`; a recorded namespace is removed.
        start, end: log time of the first and the last message, ns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        metadata = bag.read_metadata(path)
        bag.check_whole(path, metadata)
        with guarded(path):
            self._reader = Reader(path)
            self._reader.open()
        try:
            self._describe(metadata)
        except BaseException:
            self.close()
            raise

    def _describe(self, metadata: bag.BagMetadata) -> None:
        storages = [storage.metadata.message_count for storage in getattr(self._reader.storage, 'storages', [])]
        if sum(storages) != metadata.message_count:
            raise bag.DamagedError(
                self.path, f'{sum(storages)} messages where {bag.METADATA} says {metadata.message_count}'
            )
        if not metadata.message_count:
            raise UserError(f'session {self.path} is empty', expected='at least one message')
        connections = self._reader.connections
        try:
            names = relative_names({connection.topic: connection.msgtype for connection in connections})
        except UserError as error:
            raise UserError(f'session {self.path}: {error}') from error
        self._connections: dict[str, list[Connection]] = {}
        for connection in connections:
            self._connections.setdefault(names[connection.topic], []).append(connection)
        self.topics = {
            name: TopicSummary(same[0].msgtype, sum(c.msgcount for c in same))
            for name, same in sorted(self._connections.items())
        }
        self._names = names
        self._definitions = Definitions(connections)
        self.start, self.end = self._reader.start_time, self._reader.end_time - 1
        self.info = self._complete(metadata.info)

    def _complete(self, info: SessionInfo) -> SessionInfo:
        if info.robot is None:
            for event in self.events([comms.ROBOT_INFO.name]):
                with _unreadable(self.path, event):
                    return info.with_changes(robot=robot_of(event.message))
        return info

    def raw(self, topics: Collection[str] = (), start: int | None = None) -> Iterator[RawEvent]:
        """Yields messages in the order of their log time, undecoded.

        Args:
            topics: relative names; those that were not recorded give nothing; empty: all.
            start: log time to begin at, ns.

        Raises:
            UserError: damaged.
        """
        wanted = [c for name in topics or self._connections for c in self._connections.get(name, [])]
        if not wanted:
            return
        count = 0
        with guarded(self.path):
            for connection, time_ns, data in self._reader.messages(wanted, start=start):
                count += 1
                yield RawEvent(self._names[connection.topic], connection.msgtype, time_ns, data)
        expected = sum(connection.msgcount for connection in wanted)
        # Bytes without a checksum that were overwritten may only look like fewer messages.
        if start is None and count != expected:
            raise bag.DamagedError(self.path, f'{count} messages where {expected} were recorded')

    def events(self, topics: Collection[str] = (), start: int | None = None) -> Iterator[Event]:
        """Yields what `raw` does, decoded. Raises UserError also for a type that nothing here can read."""
        for event in self.raw(topics, start):
            yield self.decode(event)

    def decode(self, event: RawEvent) -> Event:
        """Returns what a message of this session says; raises UserError where nothing here can read it."""
        with _unreadable(self.path, event):
            message = self._definitions.read(event.data, event.type)
        return Event(event.topic, event.type, event.time_ns, message)

    def close(self) -> None:
        """Closes the files."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> 'SessionReader':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def robot_of(message: Any) -> RobotInfo:
    """Returns what a recorded `cls_interfaces/RobotInfo` says; raises UserError where it makes no sense."""
    return RobotInfo(
        name=message.name, modalities=tuple(message.modalities),
        channels=tuple(Channel(c.name, Kind(c.kind), c.unit, float(c.low), float(c.high)) for c in message.channels),
        joint_names=tuple(message.joint_names), joint_low=tuple(map(float, message.joint_low)),
        joint_high=tuple(map(float, message.joint_high)), settle_time=float(message.settle_time),
        lock_step=bool(message.lock_step),
    )  # fmt: skip


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Whatever a parser says of the bytes of a session becomes a DamagedError."""
    try:
        yield
    except UserError:
        raise
    except _BROKEN as error:
        raise bag.DamagedError(path, str(error) or repr(error)) from error


@contextlib.contextmanager
def _unreadable(path: Path, event: RawEvent | Event) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise UserError(
            f'session {path}, topic {event.topic!r}', expected=f'messages of type {event.type}', found=repr(error)
        ) from error
