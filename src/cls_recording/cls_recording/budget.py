"""What the sessions of a robot may use of the disk (rows 001-074 to 001-076, H16). No ROS here."""

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

# A session that alone uses more than this share goes on as a new one, so that its older part may go when that one
# has grown as large: what is kept never falls below this share.
ROTATE_SHARE = 0.5
_OURS = (bag.METADATA, f'{bag.METADATA}.new', bag.LOCK, RESERVE)


@dataclass(frozen=True)
class Stored:
    """A session on disk: when it began, s since 1970, and its size."""

    path: Path
    begun: float
    bytes: int


class Budget:
    """Watches one robot's folder.

    Args:
        folder: of the robot. limit: bytes that its sessions may use.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._begun: dict[Path, float] = {}

    def sessions(self) -> list[Stored]:
        """Returns our sessions, oldest first; folders that we did not record are not among them."""
        found = []
        for path in self._folders():
            begun = self._begun.get(path) or _when_begun(path)
            if begun:
                self._begun[path] = begun
                found.append(Stored(path, begun, size_of(path)))
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

    def make_room(self, current: Path | None) -> list[Stored]:
        """Removes the oldest finished sessions until the rest fits; returns those removed.

        Never the current one, one that another recorder writes, or one that holds anything but a recording.
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
        """Whether the session under way should go on as a new one."""
        return current_bytes > ROTATE_SHARE * self.limit


def size_of(path: Path) -> int:
    """Returns the bytes of a session's files."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _when_begun(path: Path) -> float:
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
    # A repair keeps what it replaced.
    name = name.partition(bag.REPLACED)[0]
    return name in _OURS or name.endswith('.mcap')


def _remove(path: Path) -> None:
    # Hidden first: a removal that is cut short leaves no half session.
    doomed = path.with_name(f'.removing-{path.name}')
    path.rename(doomed)
    shutil.rmtree(doomed)
