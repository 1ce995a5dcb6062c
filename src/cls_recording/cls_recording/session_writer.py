"""Writes messages to one session after another: folders, metadata, rotation, disk budget. No ROS here.

Used by one thread at a time; `robot`, `describe` and `losses.report` may be used from another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
import errno
from pathlib import Path
import struct
import time

from cls_common.errors import UserError
from cls_common.robot import difference, RobotInfo

from . import cdr_fields
from .budget import Budget, size_of, StoredSession
from .message_queue import ReceivedMessage
from .quality.drop_counts import DropCounts
from .session import check_name, new_name, robot_folder, SessionInfo
from .settings import RecorderSettings
from .writer import BagWriter

# Period of renewing metadata.yaml and measuring the other sessions, s.
_RENEW_PERIOD = 5.0
_UNKNOWN = 'unknown'
_DO = {
    errno.ENOSPC: 'Free space, then call recorder/start.',
    errno.EDQUOT: 'Free space, then call recorder/start.',
    errno.EROFS: 'Give another sessions_dir.',
    errno.EACCES: 'Give another sessions_dir.',
}


@dataclass(frozen=True)
class RecordingProgress:
    """Progress of a recording; the fields of cls_interfaces/RecorderStatus of the same names."""

    recording: bool = False
    session: str = ''
    duration: float = 0.0
    messages: int = 0
    bytes: int = 0
    synced: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    dropped: int = 0
    lost: int = 0
    used_bytes: int = 0
    budget_bytes: int = 0
    removed: int = 0
    fault: str = ''


class SessionWriter:
    """Writes the sessions of one recording.

    Attributes:
        robot: None while unknown. losses: of the recording.
        written, written_bytes: messages written, in all sessions, and the bytes of their contents.
        earlier, earlier_bytes: of these, those in sessions before the current one.
    """

    def __init__(self, settings: RecorderSettings, name: str, log: Callable[[str, bool], None]) -> None:
        self._settings, self._log = settings, log
        self._name = check_name(name) if name else ''
        self.robot: RobotInfo | None = None
        self.losses = DropCounts()
        self._known: dict[str, object] = {}
        self._writer: BagWriter | None = None
        self._budget = Budget(Path(), settings.budget_bytes)
        self._parts = self._removed = self._used = self._others = 0
        self._is_over_budget = False
        self._session = ''
        self.written = self.written_bytes = self.earlier = self.earlier_bytes = 0
        self._repeated = self._synced = self._dropped = 0
        self._before = (0, 0, 0)  # steps, lost, dropped of the parts before this one
        self._begun = self._renewed = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a session is open."""
        return self._writer is not None

    def describe(self, known: Mapping[str, object]) -> None:
        """Adds facts to the session's metadata; changes are written with the next sync."""
        if any(self._known.get(name) != fact for name, fact in known.items()):
            self._known = {**self._known, **known}
            self._renewed = float('-inf')

    def open(self, now: float) -> None:
        """Begins a session; `now`: s on the steady clock. Raises OSError where its folder can't be made."""
        started = datetime.now().astimezone()
        folder = robot_folder(Path(self._settings.sessions_dir), self.robot.name if self.robot else _UNKNOWN)
        path = self._unused_path(folder, started)
        info = SessionInfo(name=path.name, robot=self.robot, start_time=started.isoformat(timespec='milliseconds'))
        self._session = str(path)
        self._writer = BagWriter(path, info, self._settings.split_bytes, now)
        self._budget = Budget(folder, self._settings.budget_bytes)
        self.earlier, self.earlier_bytes = self.written, self.written_bytes
        self._repeated = self._synced = 0
        self._begun, self._renewed = now, float('-inf')
        self._parts += 1
        self._measure_disk_use()

    def _unused_path(self, folder: Path, started: datetime) -> Path:
        name = self._name or new_name(started)
        number = self._parts + 1 if self._name else 1
        path = folder / (f'{name}_{number:03d}' if number > 1 else name)
        if self._name and number == 1 and path.exists():
            raise UserError(f'session {path}', expected='a new name', found='a session of that name')
        while path.exists():
            number += 1
            path = folder / f'{name}_{number:03d}'
        return path

    def write(self, messages: Sequence[ReceivedMessage], now: float) -> None:
        """Writes messages in the order they came."""
        assert self._writer is not None
        if messages and self._is_another_robot():
            self._log(f'robot changed to {self.robot.name if self.robot else ""}: a new session begins', False)
            self._rotate(now)
        for message in messages:
            self._write(self._writer, message)

    def _is_another_robot(self) -> bool:
        assert self._writer is not None
        before = self._writer.info.robot
        return before is not None and self.robot is not None and difference(before, self.robot) is not None

    def _write(self, writer: BagWriter, message: ReceivedMessage) -> None:
        topic, data = message.topic, message.data
        publish_time = message.log_time
        if topic.schema.is_stamped:
            try:
                publish_time = max(cdr_fields.stamp(data), 0)
            except (struct.error, IndexError):
                pass
            is_live = self.robot is None or not self.robot.lock_step
            if message.steady and is_live:  # in lock-step images come when actions do
                self.losses.add_stamp(topic.name, publish_time)
        writer.write(topic, message.log_time, publish_time, data, latched=message.latched)
        self.losses.add(topic.name, topic.schema.type, data)
        self.written += 1
        self.written_bytes += len(data)

    def sync(self, now: float, dropped: int) -> None:
        """Syncs all messages to disk and applies the budget."""
        writer = self._writer
        assert writer is not None
        self._dropped = dropped
        before = writer.messages
        writer.sync(now, time.time_ns())
        self._repeated += writer.messages - before
        self._synced = writer.synced - self._repeated
        if now - self._renewed >= _RENEW_PERIOD:
            self._renewed = now
            writer.info = self._info()
            writer.write_metadata()
            self._measure_disk_use()
        self._used = self._others + writer.size
        if self._used > self._settings.budget_bytes:
            self._make_room(writer)
        if self._budget.is_time_to_rotate(writer.size):
            self._log(f'{writer.folder} uses half of the budget: recording continues in a new session', False)
            self._rotate(now)

    def _measure_disk_use(self) -> None:
        assert self._writer is not None
        try:
            self._others = self._budget.used() - size_of(self._writer.folder)
        except OSError as error:
            self._log(f'sizes of sessions are unknown: {error}', True)
        self._used = self._others + self._writer.size

    def _make_room(self, writer: BagWriter) -> None:
        removed: list[StoredSession] = []
        try:
            removed = self._budget.make_room(writer.folder)
        except OSError as error:
            self._log(f'old sessions could not be removed: {error}', True)
        for session in removed:
            self._log(f'removed {session.path} ({session.bytes / 1e6:.1f} MB) to stay within the budget', False)
        self._removed += len(removed)
        self._measure_disk_use()
        is_over = self._used > self._settings.budget_bytes
        if is_over and not self._is_over_budget:
            self._log(f'sessions in {self._budget.folder} use more than the budget, and none may be removed', True)
        self._is_over_budget = is_over

    def _rotate(self, now: float) -> None:
        assert self._writer is not None
        old = self._writer
        self.close(self._dropped)
        self._before = (self.losses.steps, self.losses.count, self._dropped)
        self.open(now)
        if self._is_same_robot(old):
            log_time = time.time_ns()
            for topic, publish_time, data in old.latched.values():
                self._writer.write(topic, log_time, publish_time, data, latched=True)
                self._repeated += 1
            self._writer.sync(now, log_time)

    def _is_same_robot(self, old: BagWriter) -> bool:
        return self.robot is None or old.info.robot is None or difference(old.info.robot, self.robot) is None

    def _info(self) -> SessionInfo:
        assert self._writer is not None
        steps, lost, dropped_before = self._before
        return self._writer.info.with_changes(
            robot=self._writer.info.robot if self._is_another_robot() else self.robot,
            total_steps=self.losses.steps - steps,
            lost=self.losses.count - lost,
            dropped=self._dropped - dropped_before,
            **self._known,
        )

    def close(self, dropped: int) -> None:
        """Closes the session."""
        writer, self._dropped = self._writer, dropped
        if writer is not None:
            ended = datetime.now().astimezone().isoformat(timespec='milliseconds')
            writer.info = self._info().with_changes(end_time=ended)
            writer.close()
            self._synced = writer.synced - self._repeated
            self._writer = None

    def abandon(self) -> None:
        """Closes the session after an error: keeps what was synced, discards the rest."""
        if self._writer is not None:
            self._writer.info = self._info()
            self._writer.abandon()
            self._synced = max(self._writer.synced - self._repeated, 0)
            self._writer = None

    def explain(self, error: OSError) -> UserError:
        """Returns the error for a failed disk."""
        where = self._session or self._settings.sessions_dir
        do = _DO.get(error.errno or 0, 'See to the disk, then call recorder/start.')
        return UserError(f'session {where} can not be written', found=error.strerror or str(error), do=do)

    def progress(self, recording: bool, fault: str, now: float) -> RecordingProgress:
        """Returns the progress; `now`: s on the steady clock."""
        return RecordingProgress(
            recording=recording,
            session=self._session,
            duration=now - self._begun if self._session else 0.0,
            messages=self.written - self.earlier,
            bytes=self.written_bytes - self.earlier_bytes,
            synced=self._synced,
            used_bytes=self._used,
            budget_bytes=self._settings.budget_bytes,
            removed=self._removed,
            fault=fault,
        )
