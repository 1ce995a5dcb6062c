"""One run of `up`: starts the graph, waits until it is ready, watches it, ends it in order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
import time
from typing import Any, TYPE_CHECKING

from .interrupts import Interrupts
from .orderly_end import OrderlyEnd
from .replay_patience import ReplayPatience
from .report import CLEAN
from .run_directory import RunDirectory
from .snapshot import activity, LearnerStatuses, measures
from .supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from .nodes.graph_client import GraphClient

_WATCH_PERIOD = 0.5
# Nodes import for up to ten seconds on a busy machine.
_START_TIME = 10.0
_FRAME = 0.1


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits at which a run ends by itself; 0: none.

    Attributes:
        duration: s from ready.
        steps: whether fast_learner has a limit of wake steps.
        replay: whether a player plays recorded sessions, and the run ends with them.
        startup: s within which it has to be ready, and after which a replay that waits is given up.
    """

    duration: float = 0.0
    steps: bool = False
    replay: bool = False
    startup: float = 180.0


@dataclass
class Session:
    """A started graph. Use: `tick` until `ended`, then `finish`; `close` in any case.

    Attributes:
        ended: reason of the end; empty while it runs.
        mistake: the UserError of a node.
        startup_seconds: from `begun` to ready; None before.
        saved: message of the learner after the final save; empty without one.
    """

    robot: str
    namespace: str
    limits: Limits
    directory: RunDirectory
    supervisor: Supervisor
    client: 'GraphClient'
    begun: float
    ended: str = ''
    mistake: str = ''
    startup_seconds: float | None = None
    saved: str = ''
    processes: dict[str, str] = field(default_factory=dict)
    _watched: float = -1e9
    _crash: bool = False
    _patience: ReplayPatience = field(default_factory=ReplayPatience)

    @classmethod
    def start(
        cls,
        commands: dict[str, list[str]],
        directory: RunDirectory,
        client: 'GraphClient',
        robot: str,
        namespace: str,
        limits: Limits,
        begun: float,
    ) -> 'Session':
        """Starts every process, given its command line by name."""
        try:
            supervisor = Supervisor(directory.path, commands)
        except BaseException:
            directory.close(keep=False)
            raise
        return cls(robot, namespace, limits, directory, supervisor, client, begun)

    def tick(self) -> None:
        """Checks processes and learners and sets `ended`; to be called about ten times a second."""
        now = time.monotonic()
        statuses = self.client.statuses()
        if self.startup_seconds is None and statuses.ready:
            self.startup_seconds = now - self.begun
        if now - self._watched >= _WATCH_PERIOD:
            self._watched = now
            self._watch(now)
            self.directory.write_status(self._status(statuses, now))
        if not self.ended:
            self.ended = self._limit_reached(statuses, now)

    def _watch(self, now: float) -> None:
        reason = self.supervisor.watch(now)
        self.processes = {state.name: state.state for state in self.supervisor.states()}
        if reason is None:
            return
        self.ended, self._crash = str(reason), True
        if reason.is_user_error:
            self.mistake = (
                f'{reason.name}: {self.supervisor.last_error(reason.name) or "see " + self._log(reason.name)}'
            )

    def _log(self, name: str) -> str:
        return str(self.supervisor.log(name))

    def _limit_reached(self, statuses: LearnerStatuses, now: float) -> str:
        if self.startup_seconds is None:
            if now - self.begun > self.limits.startup:
                self._crash = True
                return f'not ready after {self.limits.startup:g} s: {statuses.missing()}'
            return ''
        if self.limits.steps and statuses.done:
            return CLEAN
        if self.limits.replay and self.client.replay is not None and self.client.replay.is_finished:
            return CLEAN
        waited = self._patience.waited(self.client.replay, statuses, now) if self.limits.replay else 0.0
        if waited > self.limits.startup:
            self._crash = True
            return f'player waited {waited:.0f} s: {self._patience.missing}'
        if self.limits.duration and now - self.begun - self.startup_seconds >= self.limits.duration:
            return CLEAN
        return ''

    def stop(self) -> None:
        """Requests an orderly end."""
        self.ended = self.ended or CLEAN

    def finish(self, show: Callable[[str], None], interrupts: Interrupts) -> str:
        """Ends the run as a sequence: acting stops, everything is saved, every process ends.

        Args:
            show: called ten times a second with the current step.
            interrupts: an interrupt while saving ends the wait.

        Returns:
            'clean' or the first problem.
        """
        end = OrderlyEnd(self.client, lambda: interrupts.count > 0 or not self._has('slow_learner'))
        with ThreadPoolExecutor(1, 'end') as pool:
            work = pool.submit(self._end, end)
            while not wait([work], _FRAME).done:
                show(end.message)
        problems = ([] if self.ended == CLEAN else [self.ended]) + work.result()
        self.saved = end.saved
        self.ended = problems[0] if problems else CLEAN
        return self.ended

    def _end(self, end: OrderlyEnd) -> list[str]:
        """Returns the problems."""
        if self._has('slow_learner'):
            end.run()
        problems = [end.problem] if end.problem else []
        end.message = 'ending …'
        requested = time.monotonic()
        self.supervisor.ask_to_end()
        return problems + [
            f'{state.name} ended with exit status {state.status}'
            for state in self.supervisor.await_end()
            if state.status != 0 and not self._is_excused(state.name, requested)
        ]

    def _has(self, name: str) -> bool:
        """Whether a process runs."""
        return any(state.name == name and state.is_up for state in self.supervisor.states())

    def _is_excused(self, name: str, requested: float) -> bool:
        # A node that is still starting cannot end in order; after a crash only the first reason is reported.
        record = self.supervisor.policy.records.get(name)
        is_starting = record is not None and requested - record.started < _START_TIME
        return self._crash or self.startup_seconds is None or is_starting

    def close(self) -> None:
        """Ends all processes; keeps the logs unless the run was clean."""
        self.supervisor.close()
        self.directory.close(keep=self.ended != CLEAN)

    def _status(self, statuses: LearnerStatuses, now: float) -> dict[str, Any]:
        startup = None if self.startup_seconds is None else round(self.startup_seconds, 3)
        return {
            **activity(statuses),
            **measures(statuses),
            'startup_seconds': startup,
            'elapsed_seconds': round(now - self.begun, 1),
            'robot': self.robot,
            'namespace': self.namespace,
            'run_directory': str(self.directory.path),
            'processes': self.processes,
            'restarts': dict(self.supervisor.policy.restarts),
        }
