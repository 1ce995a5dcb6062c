"""Owns one supervisord and the node processes below it."""

from dataclasses import dataclass
import http.client
from pathlib import Path
import subprocess
import sys
import time
from typing import Any
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport, UnixStreamHTTPConnection

from cls_common.errors import UserError

from .commands import configuration, dies_with_parent, STOP_WAIT
from .restarts import Ended, RestartPolicy

_START_TIMEOUT, _CALL_TIMEOUT = 10.0, 5.0
_GROUP = 'graph'
_UP = ('STARTING', 'RUNNING', 'STOPPING')


@dataclass(frozen=True)
class ProcessState:
    """One process as supervisord sees it; `status` is the last exit status, -1 for a signal."""

    name: str
    state: str
    pid: int
    status: int

    @property
    def is_up(self) -> bool:
        """Whether there is a process now."""
        return self.state in _UP


class _Connection(UnixStreamHTTPConnection):  # type: ignore[misc]
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_CALL_TIMEOUT)


class _Transport(SupervisorTransport):  # type: ignore[misc]
    """Over the private socket, with a limit of time on every call."""

    def __init__(self, socket: Path) -> None:
        super().__init__(serverurl=f'unix://{socket}')
        self._socket = socket

    def _get_connection(self) -> _Connection:
        connection = _Connection('localhost', timeout=_CALL_TIMEOUT)
        connection.socketfile = str(self._socket)
        return connection


class Supervisor:
    """Starts commands by name in `directory` and keeps them up as the restart policy says.

    supervisord gets its own session, so that Ctrl-C on the terminal reaches only us, and SIGTERM when we die: it
    then ends its processes in order. They get SIGINT when it dies.

    Raises:
        UserError: supervisord did not start.
    """

    def __init__(self, directory: Path, commands: dict[str, list[str]]) -> None:
        self.directory = directory
        self.policy = RestartPolicy()
        configured = directory / 'supervisord.conf'
        configured.write_text(configuration(directory, commands))
        self._transport = _Transport(directory / 'socket')
        self._server: Any = xmlrpc.client.ServerProxy('http://localhost', transport=self._transport)
        with open(directory / 'supervisord.out', 'w') as output:
            self._process = subprocess.Popen(
                [*dies_with_parent('TERM'), sys.executable, '-m', 'supervisor.supervisord', '-c', str(configured)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._await_socket()

    def _await_socket(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.states()
                return
            except (OSError, http.client.HTTPException):
                self._transport.close()
                self._pause(0.05)
        self._process.kill()
        found = (self.directory / 'supervisord.out').read_text().strip().splitlines()
        raise UserError('supervisord did not start', found=found[-1] if found else 'no answer')

    def _pause(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    @property
    def is_alive(self) -> bool:
        """Whether supervisord itself runs."""
        return self._process.poll() is None

    def states(self) -> list[ProcessState]:
        """Returns every process's state."""
        return [
            ProcessState(info['name'], info['statename'], info['pid'], info['exitstatus'])
            for info in self._call('getAllProcessInfo')
        ]

    def watch(self, now: float) -> Ended | None:
        """Notes ends, starts again what is due; returns a reason to end everything, or None.

        Args:
            now: s on the steady clock.
        """
        for state in self.states():
            if state.is_up:
                record = self.policy.records.get(state.name)
                if record is None:
                    self.policy.saw_running(state.name, now)
            elif ended := self.policy.saw_end(state.name, state.status, now):
                return ended
        for name in self.policy.due(now):
            self._call('startProcess', f'{_GROUP}:{name}', False)
        return None

    def ask_to_end(self) -> None:
        """Sends every process SIGINT."""
        self._call('stopAllProcesses', False)

    def await_end(self) -> list[ProcessState]:
        """Waits until every process has ended (supervisord kills what hangs); returns how."""
        deadline = time.monotonic() + STOP_WAIT + 5.0
        states = self.states()
        while any(state.is_up for state in states) and time.monotonic() < deadline:
            self._pause(0.05)
            states = self.states()
        return states

    def close(self) -> None:
        """Ends supervisord with all that is left below it."""
        if self.is_alive:
            self._process.terminate()
            try:
                self._process.wait(STOP_WAIT + 5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._transport.close()

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self.directory / f'{name}.log'

    def last_error(self, name: str) -> str:
        """Returns the last `error: ...` line a process wrote, without that word; empty where there is none."""
        try:
            lines = self.log(name).read_text(errors='replace').splitlines()
        except OSError:
            return ''
        return next((line.removeprefix('error: ') for line in reversed(lines) if line.startswith('error: ')), '')

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._server.supervisor, method)(*arguments)
