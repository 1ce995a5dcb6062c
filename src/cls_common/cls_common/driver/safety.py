"""Safety of every robot driver: error codes, refusals, the emergency stop latch, and whether anything may move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
import math
import threading


class Code(IntEnum):
    """Error codes; values equal the constants of cls_interfaces RobotState (20x) and AppliedAction (21x)."""

    NONE = 0
    STATE_LINK_LOST = 200
    POSITION_UNKNOWN = 201
    COMMAND_TOO_OLD = 202
    EMERGENCY_STOP = 203
    NON_FINITE = 210
    WRONG_LENGTH = 211
    NOT_READY = 212
    TOO_OLD = 213
    LINK_LOST = 214


class DriverState(IntEnum):
    """Values equal the constants of cls_interfaces RobotState."""

    READY = 0
    MOVING = 1
    STOPPED = 2
    FAULT = 3


@dataclass(frozen=True)
class Refusal:
    """Reason why an action is not carried out: error code and text."""

    code: Code
    text: str


def check_values(values: Sequence[float], channels: Sequence[str]) -> Refusal | None:
    """Refuses values that are not one finite number for each channel, before clamping could turn NaN into a limit."""
    if len(values) != len(channels):
        text = f'an action has one value for each of {", ".join(channels)}; found {len(values)}'
        return Refusal(Code.WRONG_LENGTH, text)
    if not all(math.isfinite(value) for value in values):
        return Refusal(Code.NON_FINITE, f'all values must be finite; found {list(values)}')
    return None


def check_age(age: float, limit: float) -> Refusal | None:
    """Refuses an action stamped more than `limit` s ago, or that far in the future (clocks differ)."""
    if age > limit:
        return Refusal(Code.TOO_OLD, f'the action is {age:.2f} s old, the limit is {limit:.2f} s')
    if age < -limit:
        return Refusal(Code.TOO_OLD, f'the action is stamped {-age:.2f} s in the future: synchronise the clocks')
    return None


class StoppedError(Exception):
    """The emergency stop is latched: nothing was sent."""


class StopLatch:
    """An emergency stop that blocks all later commands, from any thread.

    Sending and latching exclude each other: a command is either on the wire before the stop, or never sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_engaged = False

    @property
    def is_engaged(self) -> bool:
        """Whether all motion is refused."""
        return self._is_engaged

    def engage(self, send_stop: Callable[[], None]) -> None:
        """Latches, then sends the stop; latched even if sending fails."""
        with self._lock:
            self._is_engaged = True
            send_stop()

    def release(self) -> None:
        """Allows commands again."""
        with self._lock:
            self._is_engaged = False

    def send(self, command: Callable[[], None]) -> None:
        """Runs `command`, which must not wait for a reply; raises StoppedError if latched."""
        with self._lock:
            if self._is_engaged:
                raise StoppedError
            command()


class Guard:
    """Whether the robot may move and whether its actuators are on. Starts in fault: position unknown.

    Args:
        fault: reason of the fault at the start.
        off: what an emergency stop has done, for messages.

    Attributes:
        latch: the emergency stop.
        torque: True, False, or None if unknown (a robot that does not answer).
        off_confirmed: the robot confirmed that its outputs are off since the latch engaged.
    """

    def __init__(self, fault: str, off: str = 'torque off') -> None:
        self.latch = StopLatch()
        self.torque: bool | None = None
        self.off_confirmed = False
        self._fault: Refusal | None = Refusal(Code.POSITION_UNKNOWN, fault)
        self._jump: Refusal | None = None
        self._note: Refusal | None = None
        self._is_moving = False
        self._off = off

    @property
    def state(self) -> DriverState:
        """Stopped before fault before moving."""
        if self.latch.is_engaged:
            return DriverState.STOPPED
        if self._fault is not None or self._jump is not None:
            return DriverState.FAULT
        return DriverState.MOVING if self._is_moving else DriverState.READY

    @property
    def reason(self) -> Refusal:
        """Reason for the state; Code.NONE and no text if there is none."""
        if self.latch.is_engaged:
            fault = self._fault or self._jump
            besides = f' Also: {fault.text}' if fault else ''
            return Refusal(Code.EMERGENCY_STOP, f'emergency stop, {self._off}; call rearm to continue.' + besides)
        return self._fault or self._jump or self._note or Refusal(Code.NONE, '')

    @property
    def needs_rearm(self) -> bool:
        """Whether motion requires `rearm`; torque has to be off."""
        return self.latch.is_engaged or self._jump is not None

    @property
    def knows_position(self) -> bool:
        """Whether reported angles are accepted."""
        return self._jump is None

    def refuse(self) -> Refusal | None:
        """Returns the reason to refuse actions now, or None."""
        if self.state in (DriverState.STOPPED, DriverState.FAULT):
            return Refusal(Code.NOT_READY, self.reason.text)
        return None

    def linked(self) -> None:
        """Records that the robot answers and its position is known."""
        self._fault = None

    def position_jumped(self, text: str) -> None:
        """Records angles that no move explains: no motion and no torque until `rearm`."""
        self._jump = Refusal(Code.POSITION_UNKNOWN, text)
        self.off_confirmed = False

    def rearm(self) -> None:
        """Ends an emergency stop and accepts the reported angles; called on request of a person."""
        self._jump = None
        self.latch.release()

    def lost(self, text: str, code: Code = Code.STATE_LINK_LOST) -> None:
        """Records a lost robot or an unknown position: no motion until `linked`."""
        self._fault = Refusal(code, text)
        self._is_moving = False
        self.torque = None
        self.off_confirmed = False

    def moving(self) -> None:
        """Records a move that is being sent; it switches torque on."""
        self._is_moving = True
        self._note = None
        self.torque = True
        self.off_confirmed = False

    def moved(self) -> None:
        """Records that the move was acknowledged, or was not sent."""
        self._is_moving = False

    def torque_off(self, note: str = '') -> None:
        """Records that the outputs are off; `note` is the reason if the next action may switch them on."""
        self._note = Refusal(Code.COMMAND_TOO_OLD, note) if note else None
        self.torque = False
        self.off_confirmed = True
