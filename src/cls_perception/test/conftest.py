"""Node processes, and waiting for their messages with a deadline."""

from collections.abc import Callable, Iterator
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.retrying_client import RetryingClient

LONG = 60.0  # s; torch alone takes up to 10 s to import on a busy machine


class NodeProcesses:
    """A node in the test process, and the node processes it started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.context = rclpy.Context()
        self.context.init()
        self.node = Node('tester', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def start(self, module: str, **values: Any) -> subprocess.Popen[bytes]:
        """Starts a node of this package by module name with parameters."""
        command = [sys.executable, '-m', f'cls_perception.nodes.{module}', '--ros-args']
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else f"'{value}'" if isinstance(value, str) else value
            command += ['-p', f'{name}:={text}']
        log = open(self._folder / f'{len(self.processes)}.log', 'wb')  # noqa: SIM115 - the process's own
        # In a separate folder: the working directory may contain models.
        process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self.processes.append(process)
        return process

    def log(self, number: int = -1) -> str:
        """Returns what a process has written so far."""
        number %= len(self.processes)
        return (self._folder / f'{number}.log').read_text(errors='replace')

    def until(self, condition: Callable[[], Any], timeout: float = LONG, each: Callable[[], None] | None = None) -> Any:
        """Spins until the condition holds and returns its value; calls `each` every 50 ms; fails at the deadline."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            if each:
                each()
            self.executor.spin_once(timeout_sec=0.05)
        raise AssertionError(
            'the deadline is over; the processes said:\n' + '\n'.join(map(self.log, range(len(self.processes))))
        )

    def call(self, service: comms.Service, request: Any) -> Any:
        """Calls a service until it answers, and returns the response."""
        requests, answers = RetryingClient(qos.client(self.node, service), retry_after=5.0), []
        return self.until(lambda: answers or requests.request(request, answers.append))[0]

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Ends a process in order and returns its exit status."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(LONG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """Ends everything."""
        for process in self.processes:
            self.end(process)
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[NodeProcesses]:
    graph = NodeProcesses(tmp_path)
    yield graph
    graph.close()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every download fail at once, also with a network: the proxy's port is closed."""
    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch for downloaded weights; returns its folder."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    return tmp_path / 'torch' / 'hub' / 'checkpoints'


@pytest.fixture(scope='session')
def scene() -> np.ndarray:
    """One fixed image with structure: uint8 (60, 80, 3)."""
    rows, columns = np.mgrid[0:60, 0:80]
    image = np.stack([rows * 4, columns * 3, (rows // 8 + columns // 8) % 2 * 200], axis=-1)
    return image.astype(np.uint8)
