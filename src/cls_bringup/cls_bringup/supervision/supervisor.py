"""Starts, watches and ends the processes of the graph without `ros2 launch`."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import threading
import time

from cls_common.errors import UserError

from ..graph import ENDS_LAST, STOP_WAIT
from .restarts import Ended, RestartPolicy

_POLL = 0.05
# Size at which a log becomes the backup, bytes.
_LOG_BYTES = 10_000_000
# A UserError as printed by runner.run, or logged by a node in any log format.
_ERROR = re.compile(r'(?:^|FATAL.*?)error: (.*)')
_ENVIRONMENT = {'PYTHONUNBUFFERED': '1', 'RCUTILS_COLORIZED_OUTPUT': '0'}


@dataclass(frozen=True)
class ProcessState:
    """One process: RUNNING, or EXITED with its exit status (the negative number of a signal that ended it)."""

    name: str
    pid: int
    status: int | None

    @property
    def is_up(self) -> bool:
        """Whether there is a process now."""
        return self.status is None

    @property
    def state(self) -> str:
        """Name of the state, for display."""
        return 'RUNNING' if self.is_up else 'EXITED'


class Supervisor:
    """Starts commands by name and restarts them by the restart policy; each logs into `directory`.

    Each process has its own session, so Ctrl-C on the terminal reaches only this process. Commands that must end with
    this process begin with `dies_with_parent`: they are signalled when the thread that started them ends.

    Raises:
        UserError: a command could not be started; nothing is left running.
    """

    def __init__(self, directory: Path, commands: Mapping[str, Sequence[str]]) -> None:
        self.directory = directory
        self.policy = RestartPolicy()
        self._commands = commands
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in commands:
                self._start(name)
        except OSError as error:
            self.close()
            raise UserError('a process could not be started', found=str(error)) from error

    def _start(self, name: str) -> None:
        # Opened for appending, so that writing continues at the new end of a truncated log.
        with open(self.log(name), 'ab') as log:
            self._processes[name] = subprocess.Popen(
                self._commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | _ENVIRONMENT,
            )

    def states(self) -> list[ProcessState]:
        """Returns every process's state."""
        return [ProcessState(name, process.pid, process.poll()) for name, process in self._processes.items()]

    def watch(self, now: float) -> Ended | None:
        """Records exits and restarts processes that are due; returns a reason to end everything, or None.

        Args:
            now: s on the steady clock.
        """
        for state in self.states():
            self._shorten(self.log(state.name))
            if state.is_up and state.name not in self.policy.records:
                self.policy.saw_running(state.name, now)
            elif state.status is not None and (ended := self.policy.saw_end(state.name, state.status, now)):
                return ended
        for name in self.policy.due(now):
            self._start(name)
        return None

    @staticmethod
    def _shorten(log: Path) -> None:
        if log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(log, log.with_suffix('.log.1'))
            os.truncate(log, 0)

    def ask_to_end(self) -> None:
        """Sends SIGINT to every process but those of ENDS_LAST."""
        self._signal(signal.SIGINT, self._processes.keys() - set(ENDS_LAST))

    def await_end(self) -> list[ProcessState]:
        """Waits until every process has ended, those of ENDS_LAST last; kills what hangs; returns how they ended."""
        self._await_end(self._processes.keys() - set(ENDS_LAST))
        self._signal(signal.SIGINT, self._processes.keys() & set(ENDS_LAST))
        self._await_end(self._processes.keys())
        return self.states()

    def _await_end(self, names: Set[str]) -> None:
        deadline = time.monotonic() + STOP_WAIT
        pause = threading.Event()
        while any(self._processes[name].poll() is None for name in names) and time.monotonic() < deadline:
            pause.wait(_POLL)
        self._signal(signal.SIGKILL, names)
        for name in names:
            self._processes[name].wait()

    def _signal(self, number: signal.Signals, names: Set[str]) -> None:
        for name in names:
            self._processes[name].send_signal(number)  # does nothing where it has ended

    def close(self) -> None:
        """Ends all processes."""
        self.ask_to_end()
        self.await_end()

    def log(self, name: str) -> Path:
        """Returns the log file of a process."""
        return self.directory / f'{name}.log'

    def last_error(self, name: str) -> str:
        """Returns the last UserError that a process printed or logged, see runner.run; empty without one."""
        try:
            lines = self.log(name).read_text(errors='replace').splitlines()
        except OSError:
            return ''
        found = (_ERROR.search(line) for line in reversed(lines))
        return next((match[1] for match in found if match), '')
