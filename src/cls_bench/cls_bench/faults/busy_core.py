"""Confines processes to one busy core, as on a laptop with other work."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import subprocess
import sys

from cls_bringup.supervision.commands import dies_with_parent

# Computes until it is killed, at most for an hour.
_BUSY = 'import time\nend = time.monotonic() + 3600\nwhile time.monotonic() < end: pass'


@contextmanager
def busy_core(pids: Iterable[int], load: int) -> Iterator[int]:
    """Confines processes, with all their threads, to one core beside `load` busy ones until the block ends.

    Yields:
        the number of the core.
    """
    core = max(os.sched_getaffinity(0))
    command = [*dies_with_parent('KILL'), sys.executable, '-S', '-c', _BUSY]
    loads = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(load)]
    try:
        for pid in [*pids, *(process.pid for process in loads)]:
            _confine(pid, core)
        yield core
    finally:
        for process in loads:
            process.kill()
            process.wait()


def _confine(pid: int, core: int) -> None:
    # New threads inherit the affinity of the thread that starts them.
    for task in Path(f'/proc/{pid}/task').iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})
