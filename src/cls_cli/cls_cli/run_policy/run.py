"""Runs `./cls run` from its options to its exit status."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
import secrets
import sys
import time
from typing import Any, TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cls_bringup.graph import describe_body, describe_recorder, GraphOptions
from cls_bringup.interrupts import Interrupts
from cls_bringup.report import CLEAN, write_report
from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Floats
from cls_learning import policies
from cls_learning.policies.contract import EndOfActionsError, Policy
from cls_learning.policies.manual import ManualPolicy

from ..terminal import is_interactive
from .actor import Actor
from .options import MANUAL, RunOptions
from .prompt import HINT, Lines
from .robot_process import RobotProcesses
from .terminal_image import picture

if TYPE_CHECKING:
    from ..nodes.runner import Spinner

_TURN, _WATCH_PERIOD, _SAY_PERIOD, _PICTURE_PERIOD = 0.05, 0.5, 5.0, 0.25
_PROGRESS = 100


def run(robot: GraphOptions, options: RunOptions) -> int:
    """Starts the robot, runs the policy to its end and prints the statistics.

    Returns:
        exit status: 0 after a clean end, else 1.

    Raises:
        UserError: an option, the machine or a node reports a mistake of the user's.
    """
    options.check(robot)
    processes = [] if options.attach else describe_body(robot) + describe_recorder(robot)
    seed = robot.seed if robot.seed >= 0 else secrets.randbelow(2**31)
    # Imported after the checks, since importing ROS takes a third of a second.
    from ..nodes.runner import join

    with Interrupts() as interrupts, RobotProcesses(processes, options.namespace, options.log_level) as running:
        policy_run = PolicyRun(options, robot.robot, seed, running, interrupts)
        with join(options.namespace, policy_run.make_actor, records=robot.record, is_guest=options.attach) as spinner:
            policy_run.loop(spinner)
            recorder = spinner.runner.recorder
        running.end(is_excused=not policy_run.has_begun)
        return policy_run.conclude(recorder.session if recorder else '')


@dataclass
class PolicyRun:
    """One run from the first message to the last action."""

    options: RunOptions
    robot: str
    seed: int
    processes: RobotProcesses
    interrupts: Interrupts
    ended: str = ''
    _begun: float = field(default_factory=time.monotonic)
    _first: float | None = None
    _watched: float = -1e9
    _said: int = 0
    _lines: Lines | None = None
    _spinner: 'Spinner | None' = None
    _actor: Actor | None = None
    _live: Live | None = None
    _drawn: float = -1e9

    @property
    def has_begun(self) -> bool:
        """Whether everything was ready for the first action."""
        return self._first is not None

    def make_actor(self, robot: RobotInfo) -> Actor:
        """Returns the actor for this robot; raises UserError if the policy does not fit it."""
        options = self.options
        policy: Policy | None = None
        if options.policy != MANUAL:
            policy = policies.make(options.settings(), robot, 0, None, self.seed)
        if options.interactive or policy is None:
            policy = ManualPolicy(robot, self._ask, policy)
        print(f'{robot.name}: policy {options.policy}, seed {self.seed}; Ctrl-C ends', flush=True)
        self._actor = Actor(policy, robot, max_rate=options.max_rate, steps=options.steps, seed=self.seed)
        return self._actor

    def loop(self, spinner: 'Spinner') -> None:
        """Runs the policy until the run ends."""
        self._spinner = spinner
        reads_lines = self.options.interactive or self.options.policy == MANUAL
        if reads_lines:
            self._lines = Lines(sys.stdin.fileno())
        has_view = self.options.view and is_interactive() and not reads_lines
        with Live(auto_refresh=False) if has_view else nullcontext() as self._live:
            while not self._is_over():
                try:
                    spinner.runner.send_due()
                except UserError as error:
                    # A typed action is wrong: it can be typed again.
                    if not reads_lines:
                        raise
                    print(f'error: {error}', file=sys.stderr, flush=True)
                rest = self._actor.rest if self._actor else 0.0
                self._tick(min(_TURN, rest or _TURN))

    def _is_over(self) -> bool:
        actor = self._actor
        if actor is not None and actor.ended:
            self.ended = actor.ended
        elif self._first is not None and 0 < self.options.duration <= time.monotonic() - self._first:
            self.ended = f'{self.options.duration:g} s are over'
        elif self.interrupts.count:
            self.ended = 'interrupted'
        return bool(self.ended or self.processes.trouble)

    def _tick(self, timeout: float) -> None:
        """Handles one message, and periodically the view, the processes and the readiness."""
        spinner, now = self._spinner, time.monotonic()
        assert spinner is not None
        spinner.spin(timeout)
        self._say_progress()
        if self._live is not None and now - self._drawn > _PICTURE_PERIOD:
            self._drawn = now
            self._draw(self._live)
        if now - self._watched < _WATCH_PERIOD:
            return
        self._watched = now
        self.processes.watch(now, self._status())
        if self._first is None:
            spinner.runner.check_alone()
            waits_for = spinner.runner.waits_for
            if not waits_for:
                self._first = now
            elif now - self._begun > self.options.startup_timeout:
                raise UserError(f'not ready after {self.options.startup_timeout:g} s', expected=waits_for)

    def _say_progress(self) -> None:
        actor = self._actor
        if actor is None:
            return
        if actor.news:
            print(f'warning: {actor.news}', file=sys.stderr, flush=True)
            actor.news = ''
        if actor.statistics.actions >= self._said + _PROGRESS:
            self._said = actor.statistics.actions
            print(actor.statistics.line(), flush=True)

    def _status(self) -> dict[str, Any]:
        statistics = self._actor.statistics if self._actor else None
        return {
            'robot': self.robot,
            'phase': 'acting',
            'policy': self.options.policy,
            'steps': statistics.actions if statistics else 0,
        }

    def _ask(self, proposed: Floats) -> str:
        """Shows a proposed action and returns the typed line; messages are handled meanwhile."""
        assert self._lines is not None and self._actor is not None and self._spinner is not None
        if self.options.view and is_interactive():
            self._show(Console().print)
        statistics = self._actor.statistics
        print(f'{statistics.actions + 1}: {statistics.name(proposed)}  {HINT} ', end='', flush=True)
        while (line := self._lines.read(0.0)) is None:
            if not self._lines.is_open or self._is_over():
                raise EndOfActionsError(self.ended or 'the input ended')
            self._tick(_TURN)
        if not is_interactive():
            print(line)
        return line

    def _draw(self, live: Live) -> None:
        self._show(lambda shown: live.update(shown, refresh=True))

    def _show(self, show: Callable[[Any], None]) -> None:
        assert self._spinner is not None
        image = self._spinner.runner.image()
        actor = self._actor
        if actor is None:
            return
        line = (
            actor.statistics.line()
            if actor.last is None
            else (f'{actor.statistics.name(actor.last)}   {actor.statistics.line()}')
        )
        show(Group(picture(image), Text(line)) if image is not None else Text(line))

    def conclude(self, session: str) -> int:
        """Prints the statistics, writes the report, and returns the exit status."""
        trouble = self.processes.trouble
        print(f'ended: {trouble or self.ended}')
        report: dict[str, Any] = {
            'robot': self.robot, 'policy': self.options.policy, 'seed': self.seed, 'ended': self.ended,
            'seconds': round(time.monotonic() - self._first, 3) if self._first is not None else 0.0,
            'session': session, 'restarts': self.processes.restarts, 'exit': trouble or CLEAN,
        }  # fmt: skip
        if self._actor is not None:
            print(self._actor.statistics.summary(), flush=True)
            report |= {'robot': self._actor.robot.name, **self._actor.statistics.report()}
        if session:
            print(f'recorded: {session}')
        if self.options.report:
            write_report(self.options.report, report)
        if trouble:
            print(f'error: {trouble}', file=sys.stderr)
            print(f'logs: {self.processes.directory.path}', file=sys.stderr)
        return 1 if trouble else 0
