"""Waiting with a deadline, parents of processes, and a runtime folder of the tests."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import shutil
import tempfile
import time
from typing import Any

import pytest


def wait_until(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """Returns the first true value of `condition()`; fails after `timeout` s."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f'{what}: not within {timeout} s')


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[int]:
    """Returns the processes below `pid`."""
    parents = _parents()
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def parent(pid: int) -> int:
    """Returns the parent of a process."""
    return _parents()[pid]


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rsplit(')', 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture(scope='module')
def runtime() -> Iterator[Path]:
    """A runtime folder of the tests' own."""
    folder, before = tempfile.mkdtemp(prefix='cls'), os.environ.get('XDG_RUNTIME_DIR')
    os.environ['XDG_RUNTIME_DIR'] = folder
    yield Path(folder)
    if before is None:
        del os.environ['XDG_RUNTIME_DIR']
    else:
        os.environ['XDG_RUNTIME_DIR'] = before
    shutil.rmtree(folder, ignore_errors=True)
