"""The graph that is killed: the real processes of `./cls up`, in lock-step, kept up as `./cls up` keeps them."""

from collections.abc import Iterable
import os
from pathlib import Path
import signal
import threading
import time

import yaml

from cls_bringup.graph import describe, GraphOptions
from cls_bringup.run_directory import RunDirectory
from cls_bringup.supervision.commands import node_command
from cls_bringup.supervision.supervisor import Supervisor
from cls_common.errors import UserError
from cls_learning.model_store import generations
from cls_learning.state_bytes import unpack

from .reference import ENCODER, RECIPE

_POLL = 0.02


class Subject:
    """One graph with a model of its own.

    Attributes:
        namespace: of its own: a graph that was killed is remembered by the network for 20 s.
        model: name of its folder in `models_dir`.
    """

    def __init__(self, number: int, models_dir: Path, seed: int, *, lock_step: bool = True) -> None:
        self.namespace = f'faults_{number}'
        self.model = f'graph_{number:03d}'
        self.models_dir = models_dir
        recipe = models_dir / 'recipe.param.yaml'
        recipe.write_text(yaml.safe_dump({'/**/slow_learner': {'ros__parameters': RECIPE}}))
        options = GraphOptions(
            robot='sim', model=self.model, models_dir=str(models_dir), lock_step=lock_step, seed=seed, encoder=ENCODER,
            params_file=str(recipe),
        )  # fmt: skip
        processes = describe(options)
        self.directory = RunDirectory.create()
        commands = {p.name: node_command(p, self.namespace) for p in processes}
        try:
            self.supervisor = Supervisor(self.directory.path, commands)
        except BaseException:
            self.directory.close(keep=False)
            raise

    def watch(self) -> None:
        """Starts again what has died, as `./cls up` does; raises UserError where a process gave up."""
        ended = self.supervisor.watch(time.monotonic())
        if ended is not None:
            said = self.supervisor.last_error(ended.name)
            raise UserError(str(ended), found=said or f'see {self.supervisor.log(ended.name)}')

    def settle(self) -> None:
        """Forgets crashes of before: many in a row would mean to give up."""
        self.supervisor.policy.records.clear()

    def pids(self) -> dict[str, int]:
        """Returns the process of each node that runs."""
        return {state.name: state.pid for state in self.supervisor.states() if state.is_up}

    @staticmethod
    def kill(pids: Iterable[int]) -> None:
        """Ends processes as a loss of power does: without a word."""
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def await_end(self, pids: Iterable[int], timeout: float) -> bool:
        """Returns whether all have gone within `timeout` s: one that dies while it syncs a file holds its lock on."""
        deadline, pause = time.monotonic() + timeout, threading.Event()
        left = list(pids)
        while left and time.monotonic() < deadline:
            pause.wait(_POLL)
            self.supervisor.states()  # its children stay as zombies until they are asked for
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
        """Returns what a generation says of itself."""
        return generations.read_manifest(self._generations, number)

    def gaps(self, number: int) -> int:
        """Returns how many steps of its life a generation never heard of."""
        _, parts = generations.read(self._generations, number)
        return int(unpack(parts['consolidator'], 'consolidator')['counters.gaps'])

    def close(self, keep_logs: bool) -> None:
        """Ends every process; nothing is asked to save."""
        self.kill(self.pids().values())
        self.supervisor.close()
        self.directory.close(keep=keep_logs)
