"""Limits the disk space of a robot's sessions: the oldest finished ones are removed. No ROS here."""

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from datetime import datetime
import os
from pathlib import Path
import shutil

from cls_common.errors import UserError

from . import bag
from .writer import RESERVE

# A session that alone uses more than this share is split into a new one, so that its older part can be removed once
# the new one has grown as large: at least this share is kept.
ROTATE_SHARE = 0.5
_OURS = (bag.METADATA, *bag.METADATA_RESTS, bag.LOCK, RESERVE)


@dataclass(frozen=True)
class StoredSession:
    """A session on disk: its start, s since 1970, and its size."""

    path: Path
    begun: float
    bytes: int


class Budget:
    """Disk space of one robot's folder.

    Args:
        folder: of the robot. limit: bytes that its sessions may use.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._begun: dict[Path, float] = {}

    def sessions(self) -> list[StoredSession]:
        """Returns the sessions of this recorder, oldest first; other folders are left out."""
        found = []
        for path in self._folders():
            begun = self._begun.get(path) or _start_time(path)
            if begun:
                self._begun[path] = begun
                found.append(StoredSession(path, begun, size_of(path)))
        return sorted(found, key=lambda session: (session.begun, session.path.name))

    def _folders(self) -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def used(self) -> int:
        """Returns the bytes of all sessions."""
        return sum(session.bytes for session in self.sessions())

    def make_room(self, current: Path | None) -> list[StoredSession]:
        """Removes the oldest finished sessions until the rest fits; returns those removed.

        The current one, those of other recorders, and folders with other files are kept.
        """
        sessions = self.sessions()
        used = sum(session.bytes for session in sessions)
        removed = []
        for session in sessions:
            if used <= self.limit:
                break
            if session.path != current and _may_go(session.path):
                _remove(session.path)
                used -= session.bytes
                removed.append(session)
        return removed

    def is_time_to_rotate(self, current_bytes: int) -> bool:
        """Whether the current session should be split into a new one."""
        return current_bytes > ROTATE_SHARE * self.limit


def size_of(path: Path) -> int:
    """Returns the bytes of a session's files."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _start_time(path: Path) -> float:
    try:
        start_time = bag.read_metadata(path).info.start_time
        return datetime.fromisoformat(start_time).timestamp() if start_time else 0.0
    except (UserError, ValueError, OSError):
        return 0.0


def _may_go(path: Path) -> bool:
    return not bag.is_being_recorded(path) and _holds_only_ours(list(path.iterdir()))


def _holds_only_ours(files: Sequence[Path]) -> bool:
    return all(file.is_file() and not file.is_symlink() and _is_ours(file.name) for file in files)


def _is_ours(name: str) -> bool:
    # Repairs keep the originals beside the repaired files.
    name = name.partition(bag.REPLACED)[0]
    return name in _OURS or name.endswith('.mcap')


def _remove(path: Path) -> None:
    # Hidden first: an interrupted removal leaves no partial session.
    doomed = path.with_name(f'.removing-{path.name}')
    path.rename(doomed)
    shutil.rmtree(doomed)
