"""Processes of the robot while a policy runs, and the run folder that holds their logs and the status."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from cls_bringup.graph import Process
from cls_bringup.run_directory import domain, find_status, RunDirectory
from cls_bringup.supervision.commands import node_command
from cls_bringup.supervision.supervisor import Supervisor
from cls_common.errors import UserError


def check_alone(namespace: str) -> None:
    """Raises UserError where a graph runs already in this domain and namespace."""
    if other := find_status(namespace):
        raise UserError(
            f'a graph runs already in ROS domain {domain()}',
            found=f'process {other["pid"]}',
            do='End it (q or Ctrl-C there), or set another ROS_DOMAIN_ID.',
        )


class RobotProcesses:
    """Starts processes, restarts crashed ones and ends them in order. Without processes only the run folder is made.

    Attributes:
        trouble: first failure; empty if there was none.
    """

    def __init__(self, processes: Sequence[Process], namespace: str, log_level: str) -> None:
        commands = {p.name: node_command(p, namespace, log_level) for p in processes}
        self._namespace = namespace
        self.directory = RunDirectory.create()
        self.trouble = ''
        self._supervisor: Supervisor | None = None
        try:
            if commands:
                self._supervisor = Supervisor(self.directory.path, commands)
        except BaseException:
            self.directory.close(keep=False)
            raise

    @property
    def restarts(self) -> dict[str, int]:
        """Number of restarts by process name."""
        return dict(self._supervisor.policy.restarts) if self._supervisor else {}

    def watch(self, now: float, status: dict[str, Any]) -> None:
        """Polls the processes and writes the status.

        Args:
            now: steady clock, s.

        Raises:
            UserError: a process ended with an error that the user has to mend.
        """
        processes: dict[str, str] = {}
        if self._supervisor:
            reason = self._supervisor.watch(now)
            processes = {state.name: state.state for state in self._supervisor.states()}
            if reason is not None:
                self.trouble = str(reason)
                if reason.is_user_error:
                    said = self._supervisor.last_error(reason.name)
                    raise UserError(f'{reason.name}: {said or "see " + str(self._supervisor.log(reason.name))}')
        self.directory.write_status(
            {**status, 'namespace': self._namespace, 'run_directory': str(self.directory.path), 'processes': processes}
        )

    def end(self, *, is_excused: bool) -> None:
        """Asks every process to end and waits; the first one with a bad exit status becomes `trouble`.

        Args:
            is_excused: exit statuses are ignored, because processes that are still starting cannot end in order.
        """
        if self._supervisor is None or self.trouble:
            return
        self._supervisor.ask_to_end()
        states = self._supervisor.await_end()
        bad = [f'{s.name} ended with exit status {s.status}' for s in states if s.status and not is_excused]
        self.trouble = bad[0] if bad else ''

    def __enter__(self) -> 'RobotProcesses':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervisor:
            self._supervisor.close()
        self.directory.close(keep=bool(self.trouble))
