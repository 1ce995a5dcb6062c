"""What the driver does with an action, a silence, a stop and a lost board. One thread; no waiting of its own."""

from collections.abc import Callable
from dataclasses import dataclass
import time

from .answers import Action, Answer
from .board import Board, PositionError
from .protocol import Angles
from .safety import (
    check_age,
    check_values,
    Code,
    Guard,
    next_angles,
    PositionBounds,
    Refusal,
    State,
    StopLatch,
    StoppedError,
)
from .settings import ServoDriverSettings
from .transport import LinkError


@dataclass(frozen=True)
class Snapshot:
    """How the driver fares, at one moment.

    Attributes:
        angles: degrees, last acknowledged; None where unknown.
        torque: True, False, or None where unknown.
        has_timeout, is_checked: of the firmware; None where no board is linked.
        idle: s since the last move.
        latency: s from the last request to its reply.
        moves, refused, losses, garbled, repeats: counts since start: actions carried out and refused, lost links,
            lines that were no reply, requests said again.
    """

    state: State
    reason: Refusal
    angles: Angles | None
    torque: bool | None
    has_timeout: bool | None
    is_checked: bool | None
    idle: float
    latency: float
    moves: int
    refused: int
    losses: int
    garbled: int
    repeats: int


class Driver:
    """Carries out actions on a board, or says why not.

    Args:
        connect: opens the board with the latch given; raises UserError.
        on_moving: called when a move is about to go out.
        stamp: ns of the ROS clock.
        clock: s, steady.

    Attributes:
        guard: whether anything may move.
        board: None while the link is lost.
    """

    def __init__(
        self, connect: Callable[[StopLatch], Board], settings: ServoDriverSettings, *,
        on_moving: Callable[[], None], stamp: Callable[[], int], clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.guard = Guard()
        self.board: Board | None = None
        self._connect = connect
        self._settings = settings
        self._limits = settings.to_limits()
        self._on_moving = on_moving
        self._stamp = stamp
        self._clock = clock
        # Where the servos may stand; kept while the link is lost.
        self._bounds: PositionBounds | None = None
        self._moved_at = self._asked_at = clock()
        self._moves = self._refused = self._losses = self._garbled = self._repeats = 0

    def connect(self) -> None:
        """Opens the board and reads its angles: only then may anything move. Raises UserError.

        Angles farther from the last known position than one action leads are a fault that only `rearm` ends.
        """
        self.board = self._connect(self.guard.latch)
        self._asked_at = self._clock()
        found = self.board.angles
        expected = self._bounds or PositionBounds.at(found)
        self._bounds = expected.including(found)
        if not self._bounds.is_within(self._limits.max_delta):
            self.guard.position_jumped(
                f'the board reports {found} deg, but the servos were last between {expected.low} and {expected.high}: '
                'the next action could move them farther than one step. Torque is off; turn the servos by hand to '
                'where the board says they are, keep clear of them, then call rearm.'
            )
            # What `rearm` will vouch for.
            self._bounds = PositionBounds.at(found)
        self.guard.linked()

    def why_not(self, action: Action) -> Refusal | None:
        """Returns why an action is not carried out now, or None."""
        refusal = check_values(action.values) or self.guard.refuse()
        if refusal is None and self._settings.command_age > 0:
            age = action.age + self._clock() - action.arrived
            refusal = check_age(age, self._settings.command_age)
        return refusal

    def refuse(self, action: Action, refusal: Refusal) -> Answer:
        """Answers an action that moves nothing."""
        self._refused += 1
        at = self._angles
        now = self._stamp()
        return Answer(action, (0.0, 0.0), at, at, now, now, refusal.code, refusal.text)

    def act(self, action: Action) -> Answer:
        """Carries out an action within the limits, waits for the board's acknowledgement, and returns what was done."""
        refusal = self.why_not(action)
        if refusal is not None or self.board is None or self._bounds is None:
            return self.refuse(action, refusal or Refusal(Code.NOT_READY, 'no board is linked'))
        before = self.board.angles
        pan, tilt = action.values
        bounds = self._bounds
        target = next_angles(self._limits, before, bounds, (pan, tilt), self._clock() - self._moved_at)
        # Until the board acknowledges it, the servos stand at either.
        self._bounds = bounds.including(target)
        start = self._stamp()
        self.guard.moving()
        self._on_moving()
        try:
            after = self.board.move(target)
        except StoppedError:
            self._bounds = bounds
            return self.refuse(action, Refusal(Code.NOT_READY, self.guard.reason.text))
        except LinkError as error:
            self.lose(error)
            return Answer(action, (), before, None, start, self._stamp(), Code.LINK_LOST, str(error))
        finally:
            self.guard.moved()
        self._bounds = PositionBounds.at(after)
        self._moves += 1
        self._moved_at = self._asked_at = self._clock()
        applied = tuple(round(b - a, 2) for a, b in zip(before, after))
        return Answer(action, applied, before, after, start, self._stamp())

    @property
    def quiet_for(self) -> float:
        """How long the board may be left alone yet, s."""
        return max(0.0, self._settings.keepalive - (self._clock() - self._asked_at))

    @property
    def must_switch_off(self) -> bool:
        """Whether torque has to go off: stop or fault not confirmed yet, or idle for too long."""
        if self.guard.needs_rearm:
            return not self.guard.off_confirmed
        idle_timeout = self._settings.idle_timeout
        is_idle = idle_timeout > 0 and self._clock() - self._moved_at > idle_timeout
        return is_idle and self._settings.idle_torque == 'release' and not self.guard.off_confirmed

    def look_after(self) -> None:
        """Switches off where that is due and keeps the board alive; raises LinkError when it does not answer."""
        if self.board is None:
            return
        if self.must_switch_off:
            idle = '' if self.guard.needs_rearm else 'idle, torque off; the next action switches it on'
            self.switch_off(idle)
        elif self.quiet_for <= 0:
            self.board.check()
            self._asked_at = self._clock()

    def switch_off(self, note: str = '') -> None:
        """Torque off, confirmed by the board; raises LinkError when it does not answer."""
        if self.board is not None:
            self.board.stop()
            self._asked_at = self._clock()
            self.guard.torque_off(note)

    def lose(self, error: Exception) -> None:
        """Gives up a board that does not answer: no motion until `connect` succeeds."""
        is_elsewhere = isinstance(error, PositionError)
        self.guard.lost(str(error), Code.POSITION_UNKNOWN if is_elsewhere else Code.STATE_LINK_LOST)
        board, self.board = self.board, None
        if board is None:
            return
        self._losses += 1
        self._garbled += board.garbled
        self._repeats += board.repeats
        try:
            # A board that hears but can't be understood must not go on holding.
            board.send_stop()
        except LinkError:
            pass
        board.close()

    @property
    def _angles(self) -> Angles | None:
        board = self.board
        return board.angles if board is not None and self.guard.knows_position else None

    def snapshot(self) -> Snapshot:
        """Returns how things stand; from any thread."""
        board, guard = self.board, self.guard
        return Snapshot(
            state=guard.state,
            reason=guard.reason,
            angles=self._angles,
            torque=guard.torque,
            has_timeout=board.has_timeout if board else None,
            is_checked=board.is_checked if board else None,
            idle=self._clock() - self._moved_at,
            latency=board.latency if board else 0.0,
            moves=self._moves,
            refused=self._refused,
            losses=self._losses,
            garbled=self._garbled + (board.garbled if board else 0),
            repeats=self._repeats + (board.repeats if board else 0),
        )
