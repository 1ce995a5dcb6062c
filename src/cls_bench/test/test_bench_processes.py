"""Processes of a benchmark."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from cls_bench.processes import results_of


def double(job: int) -> int:
    return 2 * job


def wait(folder: Path) -> None:
    """Says that it runs, and waits to be ended."""
    (folder / str(os.getpid())).touch()
    time.sleep(600.0)


def test_results_are_those_of_their_jobs() -> None:
    assert dict(results_of([1, 2, 3], double, 1)) == {1: 2, 2: 4, 3: 6}
    assert list(results_of([], double, 2)) == []


@pytest.mark.slow
def test_processes_end_when_the_benchmark_is_killed(tmp_path: Path) -> None:
    code = (
        f'import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n'
        'from pathlib import Path\n'
        'from cls_bench.processes import results_of\n'
        'from test_bench_processes import wait\n'
        f'if __name__ == "__main__": list(results_of([Path({str(tmp_path)!r})] * 2, wait, 2))\n'
    )
    program = tmp_path / 'program.py'
    program.write_text(code)
    process = subprocess.Popen([sys.executable, program])
    try:
        running = until(lambda: [int(path.name) for path in tmp_path.glob('[0-9]*')], 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = [Path(f'/proc/{pid}') for pid in running]
    assert until(lambda: [1] * (not any(path.exists() for path in ended)), 1)


def until(found, count, limit=60.0):
    """Returns what is found as soon as it is so many, polled."""
    end = time.monotonic() + limit
    while len(result := found()) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return result
