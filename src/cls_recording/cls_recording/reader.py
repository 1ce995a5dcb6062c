"""Reads a session: a rosbag2 folder of this recorder or of `ros2 bag record`, in MCAP or sqlite3. No ROS here."""

from collections.abc import Collection, Iterator, Mapping
import contextlib
from dataclasses import dataclass, replace
import heapq
from itertools import pairwise
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import from_message, RobotInfo

from . import bag, bag_check
from .bag_check import CheckedBag, converting_errors
from .definitions import Definitions
from .session import SessionInfo
from .stored_file import StoredFile, StoredMessage
from .topic_names import expected_type, relative_names


@dataclass(frozen=True)
class TopicSummary:
    """Type and number of messages of a topic."""

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
    """One recorded message: relative topic name, type, log time in ns, decoded message (attributes as in .msg)."""

    topic: str
    type: str
    time_ns: int
    message: Any


class SessionReader:
    """An open session; close it, or use it in a `with`. Reading changes nothing on disk.

    Args:
        path: the session's folder.

    Raises:
        UserError: not a bag, empty, cut off, being recorded, of another robot's kind, or written by a newer version.

    Attributes:
        path: as given.
        info: its metadata; robot from its custom data or from `robot/info`, None without either.
        topics: type and count by relative name, as in `comms`; a recorded namespace is removed.
        left_out: topics that can't be read, and why: by relative name, unknown ones by full name.
        start, end: log time of the first and the last message, ns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        metadata = bag.read_metadata(path)
        bag.check_whole(path, metadata)
        self._checked = bag_check.check(path, thorough=False)
        try:
            self._describe(self._checked, metadata)
        except BaseException:
            self.close()
            raise

    def _describe(self, checked: CheckedBag, metadata: bag.BagMetadata) -> None:
        if checked.found:
            raise bag.DamagedError(self.path, '; '.join(checked.found))
        if not metadata.message_count:
            raise UserError(f'session {self.path} is empty', expected='at least one message')
        _check_compression(self.path, checked, metadata)
        types = [checked.types(file) for file in checked.files]
        self.left_out: dict[str, str] = {}
        # Of each file, the readable topics: relative name and type by id.
        self._topics: list[dict[int, tuple[str, str]]] = [{} for _ in types]
        self._choose(checked.files, types)
        self._counts = [
            {number: count for number, count in file.counts.items() if number in topics}
            for file, topics in zip(checked.files, self._topics)
        ]
        totals: dict[str, TopicSummary] = {}
        for topics, counts in zip(self._topics, self._counts):
            for number, (name, kind) in topics.items():
                before = totals[name].count if name in totals else 0
                totals[name] = TopicSummary(kind, before + counts.get(number, 0))
        self.topics = {name: summary for name, summary in sorted(totals.items()) if summary.count}
        self._definitions = Definitions(bag_check.schemas_of(checked.files, types))
        spans = [file for file in checked.files if file.counts.total()]
        self.start, self.end = min(file.first for file in spans), max(file.last for file in spans)
        self.info = self._complete(metadata.info)

    def _choose(self, files: list[StoredFile], types: list[dict[int, str]]) -> None:
        """Finds the topics that can be read, and the reasons for the others."""
        readable: list[dict[int, str]] = [{} for _ in files]
        reasons: dict[str, str] = {}
        for place, file in enumerate(files):
            for number, topic in file.topics.items():
                if reason := bag_check.unreadable(topic, types[place][number]):
                    reasons[topic.name] = reason
                else:
                    readable[place][number] = topic.name
        names = self._relative({name for topics in readable for name in topics.values()}, reasons)
        chosen: dict[str, str] = {}
        for place, topics in enumerate(readable):
            for number, full in topics.items():
                kind, name = types[place][number], names[full]
                wanted = expected_type(name) or chosen.setdefault(name, kind)
                if kind == wanted:
                    self._topics[place][number] = name, kind
                else:
                    reasons[full] = f'expected type {wanted}; found {kind}'
        self.left_out = {names.get(full, full): reason for full, reason in reasons.items()}
        if not any(self._topics):
            raise UserError(f'session {self.path}: {_first(self.left_out)}')

    def _relative(self, full: set[str], reasons: Mapping[str, str]) -> dict[str, str]:
        try:
            return relative_names(full)
        except UserError as error:
            beside = f'; left out: {_first(reasons)}' if reasons else ''
            raise UserError(f'session {self.path}: {error}{beside}') from error

    def _complete(self, info: SessionInfo) -> SessionInfo:
        if info.robot is None:
            for event in self.events([comms.ROBOT_INFO.name]):
                with _unreadable(self.path, event):
                    return info.with_changes(robot=from_message(event.message))
        return info

    def robot(self) -> RobotInfo | None:
        """Returns the robot; where its description lacks `has_reward`, as of older versions, its answers show it."""
        robot = self.info.robot
        if robot is None or robot.has_reward:
            return robot
        answers = (e.message for e in self.events([comms.APPLIED_ACTION.name]) if e.message.error_code == 0)
        first = next(answers, None)
        return replace(robot, has_reward=first is not None and math.isfinite(first.reward))

    def raw(
        self, topics: Collection[str] = (), start: int | None = None, *, by_time: bool = True
    ) -> Iterator[RawEvent]:
        """Yields messages undecoded, in the order of their log time.

        Args:
            topics: relative names; those that were not recorded are ignored; empty: all.
            start: log time to begin at, ns.
            by_time: False: in the order of writing, which shows whether the recorder's clock was set.

        Raises:
            UserError: damaged.
        """
        places = []
        for place, known in enumerate(self._topics):
            wanted = {number for number, (name, _) in known.items() if not topics or name in topics}
            if wanted and any(self._counts[place].get(number) for number in wanted):
                places.append((place, wanted))
        count = 0
        with converting_errors(self.path):
            for place, message in self._merge(places, start, by_time):
                count += 1
                name, kind = self._topics[place][message.channel]
                yield RawEvent(name, kind, message.time, bag_check.payload(message.data))
        expected = sum(self._counts[place].get(number, 0) for place, wanted in places for number in wanted)
        if start is None and count != expected:
            self._check_bytes()

    def _merge(
        self, places: list[tuple[int, set[int]]], start: int | None, by_time: bool
    ) -> Iterator[tuple[int, StoredMessage]]:
        """Yields the messages of all files; files follow each other, unless their times overlap."""
        files = self._checked.files

        def read(place: int, wanted: set[int]) -> Iterator[tuple[int, StoredMessage]]:
            for message in files[place].read(wanted, start, by_time=by_time):
                yield place, message

        spans = [(files[place].first, files[place].last) for place, _ in places]
        overlaps = any(before[1] > after[0] for before, after in pairwise(spans))
        if by_time and overlaps:
            yield from heapq.merge(*(read(*place) for place in places), key=lambda found: found[1].time)
        else:
            for place in places:
                yield from read(*place)

    def _check_bytes(self) -> None:
        """Raises the error for fewer messages than a file's index counts: names the damaged bytes.

        An index that only counts wrong harms nothing.
        """
        with bag_check.check(self.path, thorough=True) as checked:
            if checked.found:
                raise bag.DamagedError(self.path, '; '.join(checked.found))

    def events(self, topics: Collection[str] = (), start: int | None = None) -> Iterator[Event]:
        """Yields the messages of `raw`, decoded. Raises UserError also for an unsupported type."""
        for event in self.raw(topics, start):
            yield self.decode(event)

    def decode(self, event: RawEvent) -> Event:
        """Returns a decoded message of this session; raises UserError for an unsupported type."""
        with _unreadable(self.path, event):
            message = self._definitions.read(event.data, event.type)
        return Event(event.topic, event.type, event.time_ns, message)

    def close(self) -> None:
        """Removes temporary uncompressed files."""
        self._checked.close()

    def __enter__(self) -> 'SessionReader':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _unreadable(path: Path, event: RawEvent | Event) -> Iterator[None]:
    try:
        yield
    except bag_check.PARSER_ERRORS as error:
        raise UserError(
            f'session {path}, topic {event.topic!r}', expected=f'messages of type {event.type}', found=repr(error)
        ) from error


def _check_compression(path: Path, checked: CheckedBag, metadata: bag.BagMetadata) -> None:
    if checked.unknown_compressions:
        raise bag_check.unknown_compression(path, sorted(checked.unknown_compressions))
    form = str(metadata.content.get('compression_format') or '')
    mode = str(metadata.content.get('compression_mode') or '').lower()
    if mode in ('message', 'file') and form != 'zstd':
        raise UserError(f'session {path}', expected='compression by zstd', found=repr(form))


def _first(reasons: Mapping[str, str]) -> str:
    return next((f'topic {name!r}, {reason}' for name, reason in reasons.items()), 'no topics')
