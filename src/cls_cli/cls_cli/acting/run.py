"""`run` as a whole: from options to exit status (rows 001-058 to 001-062)."""

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
from .body import Body
from .choices import Choices, MANUAL
from .picture import picture
from .prompt import Lines

if TYPE_CHECKING:
    from ..nodes.runner import Spinner

_TURN, _WATCH_PERIOD, _SAY_PERIOD, _PICTURE_PERIOD = 0.05, 0.5, 5.0, 0.25
_PROGRESS = 100


def run(options: GraphOptions, choices: Choices) -> int:
    """Starts the robot, acts until the end, tells what was done.

    Returns:
        exit status: 0 after a clean end, else 1.

    Raises:
        UserError: something outside is wrong, also where a node says so.
    """
    choices.check(options)
    processes = [] if choices.attach else describe_body(options) + describe_recorder(options)
    seed = options.seed if options.seed >= 0 else secrets.randbelow(2**31)
    # Importing ROS takes a third of a second: after the checks that need none.
    from ..nodes.runner import join

    with Interrupts() as interrupts, Body(processes, choices.namespace, choices.log_level) as body:
        acting = Acting(choices, options.robot, seed, body, interrupts)
        wants = {'records': options.record, 'is_guest': choices.attach}
        with join(choices.namespace, acting.make_actor, **wants) as spinner:
            acting.live(spinner)
            recorder = spinner.runner.recorder
        body.end(is_excused=not acting.has_begun)
        return acting.conclude(recorder.session if recorder else '')


@dataclass
class Acting:
    """One run from the first message to the last action."""

    choices: Choices
    robot: str
    seed: int
    body: Body
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
        """Whether all was there to act."""
        return self._first is not None

    def make_actor(self, robot: RobotInfo) -> Actor:
        """Makes what acts on this robot; raises UserError where the policy can't."""
        choices = self.choices
        policy: Policy | None = None
        if choices.policy != MANUAL:
            policy = policies.make(choices.settings(), robot, 0, None, self.seed)
        if choices.interactive or policy is None:
            policy = ManualPolicy(robot, self._ask, policy)
        print(f'{robot.name}: {choices.policy} acts, seed {self.seed}; Ctrl-C ends', flush=True)
        self._actor = Actor(policy, robot, rate=choices.rate, steps=choices.steps, seed=self.seed)
        return self._actor

    def live(self, spinner: 'Spinner') -> None:
        """Acts until it is over."""
        self._spinner = spinner
        asks = self.choices.interactive or self.choices.policy == MANUAL
        if asks:
            self._lines = Lines(sys.stdin.fileno())
        shows = self.choices.view and is_interactive() and not asks
        with Live(auto_refresh=False) if shows else nullcontext() as self._live:
            while not self._is_over():
                try:
                    spinner.runner.turn()
                except UserError as error:
                    # Only what a person typed is wrong here: it is typed again.
                    if not asks:
                        raise
                    print(f'error: {error}', file=sys.stderr, flush=True)
                rest = self._actor.rest if self._actor else 0.0
                self._tick(min(_TURN, rest or _TURN))

    def _is_over(self) -> bool:
        actor = self._actor
        if actor is not None and actor.ended:
            self.ended = actor.ended
        elif self._first is not None and 0 < self.choices.duration <= time.monotonic() - self._first:
            self.ended = f'{self.choices.duration:g} s are over'
        elif self.interrupts.count:
            self.ended = 'interrupted'
        return bool(self.ended or self.body.trouble)

    def _tick(self, timeout: float) -> None:
        """Takes a message, and looks after everything else now and then."""
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
        self.body.watch(now, self._status())
        if self._first is None:
            spinner.runner.check_alone()
            waits_for = spinner.runner.waits_for
            if not waits_for:
                self._first = now
            elif now - self._begun > self.choices.startup_timeout:
                raise UserError(f'not ready after {self.choices.startup_timeout:g} s', expected=waits_for)

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
        return {'robot': self.robot, 'phase': 'acting', 'policy': self.choices.policy,
                'steps': statistics.actions if statistics else 0}  # fmt: skip

    def _ask(self, proposed: Floats) -> str:
        """Shows a proposed action and returns what was typed; messages go on being taken meanwhile."""
        assert self._lines is not None and self._actor is not None and self._spinner is not None
        if self.choices.view and is_interactive():
            self._show(Console().print)
        statistics = self._actor.statistics
        hint = '[Enter: do it; other numbers or name=value; q: end]'
        print(f'{statistics.actions + 1}: {statistics.name(proposed)}  {hint} ', end='', flush=True)
        while (line := self._lines.read(0.0)) is None:
            if not self._lines.is_open or self._is_over():
                raise EndOfActionsError(self.ended or 'nobody types any more')
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
        line = actor.statistics.line() if actor.last is None else (
            f'{actor.statistics.name(actor.last)}   {actor.statistics.line()}'
        )  # fmt: skip
        show(Group(picture(image), Text(line)) if image is not None else Text(line))

    def conclude(self, session: str) -> int:
        """Tells what was done, writes the report, and returns the exit status."""
        trouble = self.body.trouble
        print(f'ended: {trouble or self.ended}')
        report: dict[str, Any] = {
            'robot': self.robot, 'policy': self.choices.policy, 'seed': self.seed, 'ended': self.ended,
            'seconds': round(time.monotonic() - self._first, 3) if self._first is not None else 0.0,
            'session': session, 'restarts': self.body.restarts, 'exit': trouble or CLEAN,
        }  # fmt: skip
        if self._actor is not None:
            print(self._actor.statistics.summary(), flush=True)
            report |= {'robot': self._actor.robot.name, **self._actor.statistics.report()}
        if session:
            print(f'recorded: {session}')
        if self.choices.report:
            write_report(self.choices.report, report)
        if trouble:
            print(f'error: {trouble}', file=sys.stderr)
            print(f'logs: {self.body.directory.path}', file=sys.stderr)
        return 1 if trouble else 0
