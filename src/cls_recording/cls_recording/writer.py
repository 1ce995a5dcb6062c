"""Writes a session as a rosbag2 folder that survives a loss of power. No ROS here.

`metadata.yaml` is written first and renewed during the recording; a lock marks the session as being written. Synced
messages are acknowledged: they survive SIGKILL, a full disk and a loss of power.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from cls_common import atomic_file

from . import bag, metadata
from .metadata import FileCount, TopicEntry
from .session import SessionInfo
from .split_file import SplitFile

# Deleted when the disk is full, so that files and metadata can still be completed.
RESERVE = '.reserve'
_RESERVE_BYTES = 1 << 16
# Also by time: the index of a file is held in memory until the file ends, some 2 MB an hour.
SPLIT_SECONDS = 3600.0


class BagWriter:
    """An open session. One thread at a time may use it.

    Args:
        folder: to be created; must not exist.
        info: metadata of the session; assign `info` as more becomes known, `write_metadata` or `close` writes it.
        split_bytes: size of a file at which the next one begins.
        now: s on the steady clock.

    Attributes:
        messages: written. synced: of these, those that survive a loss of power.

    Raises:
        OSError: the folder exists, the disk is full or read-only. After one from any method: `abandon`.
    """

    def __init__(self, folder: Path, info: SessionInfo, split_bytes: int, now: float = 0.0) -> None:
        self.folder, self.info = folder, info
        self._split_bytes = split_bytes
        self._topics: dict[str, TopicEntry] = {}
        self._latched: dict[str, tuple[int, bytes]] = {}
        self._ended: list[FileCount] = []
        self._ended_bytes = 0
        self._file: SplitFile | None = None
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        self._lock = self._take_lock()
        try:
            self._begin(now)
        except OSError:
            self._lock.close()
            self._remove_traces()
            raise

    def _begin(self, now: float) -> None:
        with (self.folder / RESERVE).open('wb') as reserve:
            reserve.write(os.urandom(_RESERVE_BYTES))  # random, so that no file system stores it sparsely
            os.fsync(reserve.fileno())
        self._open_file(now)
        self.write_metadata()
        for folder in (self.folder.parent, self.folder.parent.parent):
            atomic_file.sync(folder)

    def _take_lock(self) -> IO[bytes]:
        lock = open(self.folder / bag.LOCK, 'wb')  # noqa: SIM115 - held until the session or its process ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a file system without locks
            lock.close()
            self._remove_traces()
            raise
        return lock

    def _remove_traces(self) -> None:
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def _open_file(self, now: float) -> None:
        path = self.folder / f'{self.folder.name}_{len(self._ended)}.mcap'
        try:
            file = SplitFile(path, now)
            file.sync()
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._file = file

    @property
    def messages(self) -> int:
        """Messages in all files, repeated ones too."""
        return sum(file.total for file in self._ended) + (self._file.count.total if self._file else 0)

    @property
    def synced(self) -> int:
        """Of these, messages that survive a loss of power."""
        return sum(file.total for file in self._ended) + (self._file.synced.total if self._file else 0)

    @property
    def size(self) -> int:
        """Bytes of all files, approximately."""
        return self._ended_bytes + (self._file.size if self._file else 0)

    @property
    def synced_sizes(self) -> dict[str, int]:
        """Bytes of each file by name that survive a loss of power."""
        sizes = {file.name: (self.folder / file.name).stat().st_size for file in self._ended}
        return sizes | ({self._file.path.name: self._file.synced_size} if self._file else {})

    def write(self, topic: TopicEntry, log_time: int, publish_time: int, data: bytes, *, latched: bool = False) -> None:
        """Appends one serialized message unchanged, times in ns; a latched one is repeated in each later file."""
        assert self._file is not None
        if latched:
            self._latched[topic.name] = publish_time, data
        self._topics.setdefault(topic.name, topic)
        self._file.write(self._topics[topic.name], log_time, publish_time, data)

    @property
    def latched(self) -> dict[str, tuple[TopicEntry, int, bytes]]:
        """The last message of each latched topic: topic, publish time, content."""
        return {name: (self._topics[name], *kept) for name, kept in self._latched.items()}

    def sync(self, now: float, log_time: int) -> None:
        """Blocks until everything written survives a loss of power; begins the next file when due.

        Args:
            now: s on the steady clock. log_time: ns, of messages that the next file begins with.
        """
        assert self._file is not None
        if self._file.size >= self._split_bytes or now - self._file.begun >= SPLIT_SECONDS:
            self._end_file()
            self._open_file(now)
            self.write_metadata()
            for name, (publish_time, data) in self._latched.items():
                self._file.write(self._topics[name], log_time, publish_time, data)
        self._file.sync()

    def _end_file(self) -> None:
        file = self._file
        if file is not None:
            file.finish()
            self._ended.append(file.count)
            self._ended_bytes += file.size
            self._file = None

    def write_metadata(self) -> None:
        """Renews `metadata.yaml`: counts of synced messages, and `info`."""
        files = [*self._ended, *([self._file.synced] if self._file else [])]
        content = metadata.build(list(self._topics.values()), files, self.info.to_custom_data())
        metadata.write(self.folder, content)

    def close(self) -> None:
        """Ends the last file and releases the lock: a whole bag."""
        self._end_file()
        (self.folder / RESERVE).unlink(missing_ok=True)
        self.write_metadata()
        (self.folder / bag.LOCK).unlink(missing_ok=True)
        self._lock.close()

    def abandon(self) -> None:
        """After an OSError: keeps the synced messages as a whole bag, as far as the disk allows; raises no OSError."""
        with contextlib.suppress(OSError):
            (self.folder / RESERVE).unlink(missing_ok=True)
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.abandon()
            if file.synced.total or not self._ended:
                self._ended.append(file.synced)
            else:
                with contextlib.suppress(OSError):
                    file.path.unlink()
        with contextlib.suppress(OSError):
            self.write_metadata()
        with contextlib.suppress(OSError):
            (self.folder / bag.LOCK).unlink(missing_ok=True)
        self._lock.close()
