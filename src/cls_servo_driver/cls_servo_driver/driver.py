"""The servo driver: actions, keepalive, stop, lost board. Single-threaded; waits only for replies of the board."""

from collections.abc import Callable
from dataclasses import dataclass
import time

from cls_common.driver.actions import ActionResult, DriverAction
from cls_common.driver.link import LinkError
from cls_common.driver.safety import (
    check_age,
    check_values,
    Code,
    DriverState,
    Guard,
    Refusal,
    StopLatch,
    StoppedError,
)

from .board import Board, PositionError
from .protocol import Angles
from .safety import next_angles, PositionBounds
from .settings import ServoDriverSettings


@dataclass(frozen=True)
class DriverStatus:
    """Status of the driver.

    Attributes:
        angles: degrees, last acknowledged; None where unknown.
        torque: True, False, or None where unknown.
        has_timeout, is_checked: of the firmware; None without a board.
        idle: s since the last move.
        latency: s from the last request to its reply.
        moves, refused, losses, garbled, repeats: counts since start: actions carried out and refused, lost links,
            lines that were no reply, repeated requests.
    """

    state: DriverState
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
    """Carries out actions on a board, or refuses them with a reason.

    Args:
        connect: opens the board with the latch given; raises UserError.
        on_moving: called before a move is sent.
        stamp: ns of the ROS clock.
        clock: s, steady.

    Attributes:
        guard: whether anything may move.
        board: None while the link is lost.
    """

    def __init__(
        self,
        connect: Callable[[StopLatch], Board],
        settings: ServoDriverSettings,
        *,
        on_moving: Callable[[], None],
        stamp: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = Guard('the board has not reported its angles yet')
        self.board: Board | None = None
        self._connect = connect
        self._settings = settings
        self._limits = settings.to_limits()
        self._on_moving = on_moving
        self._stamp = stamp
        self._clock = clock
        # Possible angles of the servos; kept while the link is lost.
        self._bounds: PositionBounds | None = None
        self._last_move = self._last_request = clock()
        self._moves = self._refused = self._losses = self._garbled = self._repeats = 0

    @property
    def is_connected(self) -> bool:
        """Whether a board is open."""
        return self.board is not None

    def connect(self) -> None:
        """Opens the board and reads its angles, which moves require. Raises UserError.

        Angles farther from the last known position than one action are a fault that only `rearm` ends.
        """
        self.board = self._connect(self.guard.latch)
        self._last_request = self._clock()
        found = self.board.angles
        expected = self._bounds or PositionBounds.at(found)
        self._bounds = expected.including(found)
        if not self._bounds.is_within(self._limits.max_delta):
            self.guard.position_jumped(
                f'the board reports {found} deg, but the servos were last between {expected.low} and {expected.high}: '
                'the next action could move them farther than one step. Torque is off; turn the servos by hand to '
                'where the board reports them, keep clear of them, then call rearm.'
            )
            # Confirmed by `rearm`.
            self._bounds = PositionBounds.at(found)
        self.guard.linked()

    def check(self, action: DriverAction) -> Refusal | None:
        """Returns the reason to refuse an action now, or None."""
        refusal = check_values(action.values, ('pan', 'tilt')) or self.guard.refuse()
        if refusal is None and self._settings.command_age > 0:
            age = action.age + self._clock() - action.arrived
            refusal = check_age(age, self._settings.command_age)
        return refusal

    def refuse(self, action: DriverAction, refusal: Refusal) -> ActionResult:
        """Returns the result of a refused action."""
        self._refused += 1
        angles = self._angles
        now = self._stamp()
        return ActionResult(action, (0.0, 0.0), angles, angles, now, now, refusal.code, refusal.text)

    def act(self, action: DriverAction) -> ActionResult:
        """Carries out an action within the limits, waits for the board's acknowledgement, and returns the result."""
        refusal = self.check(action)
        if refusal is not None or self.board is None or self._bounds is None:
            return self.refuse(action, refusal or Refusal(Code.NOT_READY, 'no board is connected'))
        before = self.board.angles
        pan, tilt = action.values
        bounds = self._bounds
        target = next_angles(self._limits, before, bounds, (pan, tilt), self._clock() - self._last_move)
        # Until the board acknowledges it, the servos may be at either.
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
            self.disconnect(error)
            return ActionResult(action, (), before, None, start, self._stamp(), Code.LINK_LOST, str(error))
        finally:
            self.guard.moved()
        self._bounds = PositionBounds.at(after)
        self._moves += 1
        self._last_move = self._last_request = self._clock()
        applied = tuple(round(b - a, 2) for a, b in zip(before, after))
        return ActionResult(action, applied, before, after, start, self._stamp())

    @property
    def time_until_poll(self) -> float:
        """Time until the next keepalive request, s."""
        return max(0.0, self._settings.keepalive - (self._clock() - self._last_request))

    @property
    def must_switch_off(self) -> bool:
        """Whether torque has to be switched off: stop or fault not confirmed yet, or idle for too long."""
        if self.guard.needs_rearm:
            return not self.guard.off_confirmed
        idle_timeout = self._settings.idle_timeout
        is_idle = idle_timeout > 0 and self._clock() - self._last_move > idle_timeout
        return is_idle and self._settings.idle_torque == 'release' and not self.guard.off_confirmed

    def poll(self) -> None:
        """Switches torque off or sends the keepalive, as due; raises LinkError if the board does not answer."""
        if self.board is None:
            return
        if self.must_switch_off:
            idle = '' if self.guard.needs_rearm else 'idle, torque off; the next action switches it on'
            self.switch_off(idle)
        elif self.time_until_poll <= 0:
            self.board.check()
            self._last_request = self._clock()

    def switch_off(self, note: str = '') -> None:
        """Switches torque off, confirmed by the board; raises LinkError if it does not answer."""
        if self.board is not None:
            self.board.stop()
            self._last_request = self._clock()
            self.guard.torque_off(note)

    def disconnect(self, error: Exception) -> None:
        """Closes a board that does not answer: no motion until `connect` succeeds."""
        is_elsewhere = isinstance(error, PositionError)
        self.guard.lost(str(error), Code.POSITION_UNKNOWN if is_elsewhere else Code.STATE_LINK_LOST)
        board, self.board = self.board, None
        if board is None:
            return
        self._losses += 1
        self._garbled += board.garbled
        self._repeats += board.repeats
        try:
            # A board whose replies are damaged still receives the stop.
            board.send_stop()
        except LinkError:
            pass
        board.close()

    def send_stop(self) -> None:
        """Sends a stop without waiting for its confirmation; from any thread; raises LinkError."""
        board = self.board
        if board is not None:
            board.send_stop()

    def close(self) -> None:
        """Closes the board; may be called twice."""
        if self.board is not None:
            self.board.close()
            self.board = None

    @property
    def _angles(self) -> Angles | None:
        board = self.board
        return board.angles if board is not None and self.guard.knows_position else None

    def status(self) -> DriverStatus:
        """Returns the status; may be called from any thread."""
        board, guard = self.board, self.guard
        return DriverStatus(
            state=guard.state,
            reason=guard.reason,
            angles=self._angles,
            torque=guard.torque,
            has_timeout=board.has_timeout if board else None,
            is_checked=board.is_checked if board else None,
            idle=self._clock() - self._last_move,
            latency=board.latency if board else 0.0,
            moves=self._moves,
            refused=self._refused,
            losses=self._losses,
            garbled=self._garbled + (board.garbled if board else 0),
            repeats=self._repeats + (board.repeats if board else 0),
        )
