"""The graph under test: the processes of `./cls up` in lock-step, restarted as `./cls up` does."""

from collections.abc import Iterable
import os
from pathlib import Path
import signal
import threading
import time

from cls_bringup.graph import describe
from cls_bringup.run_directory import RunDirectory
from cls_bringup.supervision.commands import node_command
from cls_bringup.supervision.supervisor import Supervisor
from cls_common.errors import UserError
from cls_learning.brain import CONSOLIDATOR
from cls_learning.model_store import generations
from cls_learning.state_bytes import unpack

from .subject import Subject

_POLL = 0.02


class TargetGraph:
    """One graph with its own model.

    Attributes:
        namespace: differs between graphs, since discovery remembers a killed graph for 20 s.
        model: name of its folder in `models_dir`.
        names: of its processes.
    """

    def __init__(self, number: int, subject: Subject, *, lock_step: bool = True) -> None:
        self.namespace = f'faults_{number}'
        self.model = f'graph_{number:03d}'
        self.models_dir = subject.folder
        processes = describe(subject.graph(self.model, lock_step=lock_step))
        self.names = frozenset(p.name for p in processes)
        self.directory = RunDirectory.create()
        commands = {p.name: node_command(p, self.namespace) for p in processes}
        try:
            self.supervisor = Supervisor(self.directory.path, commands)
        except BaseException:
            self.directory.close(keep=False)
            raise

    def watch(self) -> None:
        """Restarts processes that ended, as `./cls up` does; raises UserError where the restart policy gives up."""
        ended = self.supervisor.watch(time.monotonic())
        if ended is not None:
            reason = self.supervisor.last_error(ended.name)
            raise UserError(str(ended), found=reason or f'see {self.supervisor.log(ended.name)}')

    def forget_crashes(self) -> None:
        """Clears the restart policy, which gives up after several crashes in a row."""
        self.supervisor.policy.records.clear()

    def pids(self) -> dict[str, int]:
        """Returns the process id of each running node."""
        return {state.name: state.pid for state in self.supervisor.states() if state.is_up}

    @staticmethod
    def kill(pids: Iterable[int]) -> None:
        """Kills processes with SIGKILL."""
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def await_end(self, pids: Iterable[int], timeout: float) -> bool:
        """Returns whether all ended within `timeout` s: a process that syncs a file keeps its lock until it ends."""
        deadline, pause = time.monotonic() + timeout, threading.Event()
        left = list(pids)
        while left and time.monotonic() < deadline:
            pause.wait(_POLL)
            self.supervisor.states()  # reaps the children, which are zombies until then
            left = [pid for pid in left if Path(f'/proc/{pid}').exists()]
        return not left

    @property
    def _generations(self) -> Path:
        return self.models_dir / self.model / 'generations'

    @property
    def is_saving(self) -> bool:
        """Whether a generation is being written."""
        return any(self._generations.glob('.*.new'))

    def generation(self) -> int:
        """Returns the number of the newest generation, 0 before the first."""
        return (generations.numbers(self._generations) or [0])[-1]

    def saved(self, number: int) -> generations.Manifest:
        """Returns the manifest of a generation."""
        return generations.read_manifest(self._generations, number)

    def gaps(self, number: int) -> int:
        """Returns how many experiences a generation has missed."""
        _, parts = generations.read(self._generations, number)
        return int(unpack(parts[CONSOLIDATOR], CONSOLIDATOR)['counters.gaps'])

    def close(self, keep_logs: bool) -> None:
        """Kills every process without a save."""
        self.kill(self.pids().values())
        self.supervisor.close()
        self.directory.close(keep=keep_logs)
