"""A file with known synced length, which can be truncated to it. No ROS here."""

import os
from pathlib import Path


class DurableFile:
    """Appends unbuffered; everything is written, or OSError is raised.

    Attributes:
        size: bytes written. synced: of these, bytes that survive a loss of power.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = self.synced = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> int:
        """Appends all of `data`."""
        view = memoryview(data)
        while view:
            # A full disk takes a part first; the next turn then raises.
            count = os.write(self._descriptor, view)
            self.size += count
            view = view[count:]
        return len(data)

    def tell(self) -> int:
        """Returns the size."""
        return self.size

    def flush(self) -> None:
        """Does nothing: there is no buffer."""

    def sync(self) -> None:
        """Returns when everything written is on disk."""
        os.fdatasync(self._descriptor)
        self.synced = self.size

    def cut_back(self) -> None:
        """Truncates the file to its length at the last sync."""
        os.ftruncate(self._descriptor, self.synced)
        os.lseek(self._descriptor, self.synced, os.SEEK_SET)
        self.size = self.synced

    def close(self) -> None:
        """Closes it; unsynced bytes are the system's to write."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
