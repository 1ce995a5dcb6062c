"""Runs the fake graph as `up` does, in a runtime folder of its own, and ends the processes that a test leaves."""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / 'cls_bringup' / 'test')]

from watching import descendants, runtime, wait_until  # noqa: E402 - needs the line above

__all__ = ['runtime', 'up']

FAKE_ENVIRONMENT = {'PYTHONPATH': f'{HERE}{os.pathsep}{os.environ.get("PYTHONPATH", "")}', 'PYTHONUNBUFFERED': '1'}


class Up:
    """One running `up` over the fake graph."""

    def __init__(self, options: dict[str, Any], folder: Path, **popen: Any) -> None:
        self.output = folder / 'up.out'
        self._runtime = Path(os.environ['XDG_RUNTIME_DIR'], 'cls')
        command = [sys.executable, str(HERE / 'fake_graph' / 'run_fake.py'), json.dumps(options)]
        with self.output.open('w') as output:
            streams = {'stdin': subprocess.DEVNULL, 'stdout': output, 'stderr': subprocess.STDOUT, **popen}
            self.process = subprocess.Popen(command, env={**os.environ, **FAKE_ENVIRONMENT}, **streams)

    def status(self) -> dict[str, Any]:
        """Returns what `up` last wrote for `./cls status`; empty before."""
        for path in self._runtime.glob('run-*/status.json'):
            status = json.loads(path.read_text())
            if status['pid'] == self.process.pid:
                return status
        return {}

    def await_status(self, condition, what: str, timeout: float = 30.0) -> dict[str, Any]:
        """Returns the first status for which `condition(status)` holds."""

        def holds() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.output.read_text()
            status = self.status()
            return status if status and condition(status) else None

        return wait_until(holds, timeout, what)

    def await_ready(self) -> dict[str, Any]:
        """Returns the first status after ready."""
        return self.await_status(lambda status: status['startup_seconds'], 'ready')

    def node_pids(self) -> dict[str, int]:
        """Returns the process of each node that is there, by name."""
        pids = {}
        for pid in descendants(self.process.pid):
            try:
                arguments = Path(f'/proc/{pid}/cmdline').read_bytes().decode().split('\0')
            except (FileNotFoundError, ProcessLookupError):
                continue
            for name in ('simulator', 'fast_learner', 'slow_learner'):
                if f'__node:={name}' in arguments:
                    pids[name] = pid
        return pids

    def end(self) -> None:
        """Ends it and all processes below it, in any state."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)


@pytest.fixture
def up(runtime: Path, tmp_path: Path) -> Iterator[Any]:
    """Starts `up` with options; what still runs at the end is ended."""
    started: list[Up] = []

    def start(popen: dict[str, Any] | None = None, **options: Any) -> Up:
        started.append(Up(options, tmp_path, **(popen or {})))
        return started[-1]

    yield start
    for one in started:
        one.end()
