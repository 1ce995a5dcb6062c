"""Folder of one run of `up` with its logs and status, which other commands read without ROS."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import fcntl
import json
import os
from pathlib import Path
import shutil
import tempfile
import time
from typing import Any, IO

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_common.file_lock import try_lock
from cls_common.runtime_folder import runtime_folder

_STATUS, _LOCK, _PREFIX = 'status.json', 'lock', 'run-'
# Folders of failed runs that are kept for their logs.
_KEPT_RUNS = 5
# s; `up` writes twice a second, so four missed writes mean that it hangs.
FRESH = 2.0


@dataclass
class RunDirectory:
    """A private folder with a lock that ends with its process."""

    path: Path
    _lock: IO[str] = field(repr=False)

    @classmethod
    def create(cls) -> 'RunDirectory':
        """Makes a new folder, locked by this process; removes the oldest folders of ended runs."""
        base = runtime_folder()
        for old in sorted(_ended(base), key=lambda path: path.stat().st_mtime)[: -_KEPT_RUNS or None]:
            shutil.rmtree(old, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = open(path / _LOCK, 'w')  # noqa: SIM115 - held until the process ends
        try:
            try_lock(lock, path / _LOCK)
        except UserError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(path, lock)

    def write_status(self, status: dict[str, Any]) -> None:
        """Replaces the status file at once; adds the graph it belongs to and the time."""
        content = {**status, 'pid': os.getpid(), 'domain': domain(), 'written': time.time()}
        atomic_file.write_text(self.path / _STATUS, json.dumps(content), durable=False)

    def close(self, keep: bool) -> None:
        """Releases the lock; removes the folder unless `keep`."""
        self._lock.close()
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)


def find_status(namespace: str) -> dict[str, Any] | None:
    """Returns the fresh status of the run in this ROS domain and namespace, or None."""
    for path in _runs(runtime_folder()):
        try:
            status: dict[str, Any] = json.loads((path / _STATUS).read_text())
        except (OSError, ValueError):
            continue
        is_fresh = abs(time.time() - status['written']) <= FRESH and _is_held(path)
        if is_fresh and status['domain'] == domain() and status['namespace'] == namespace:
            return status
    return None


def domain() -> str:
    """The ROS domain of this process."""
    return os.environ.get('ROS_DOMAIN_ID', '0')


def _runs(base: Path) -> Iterator[Path]:
    return (path for path in base.glob(f'{_PREFIX}*') if path.is_dir())


def _ended(base: Path) -> list[Path]:
    return [path for path in _runs(base) if not _is_held(path)]


def _is_held(path: Path) -> bool:
    try:
        with open(path / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
