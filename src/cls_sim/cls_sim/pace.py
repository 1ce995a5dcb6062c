"""Contract of real time and lock-step: when a simulated robot acts and publishes.

A pace gets commands and the time, and returns the messages to publish, in order.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .robot import ActionExecution, SensorFrame, SimulatedRobot


class RefusalCode(IntEnum):
    """Reasons to refuse an action. Values equal the constants of cls_interfaces/AppliedAction."""

    NONE = 0
    NON_FINITE = 210
    WRONG_LENGTH = 211
    NOT_READY = 212


class Status(IntEnum):
    """State of the robot. Values equal the constants of cls_interfaces/RobotState."""

    READY = 0
    MOVING = 1
    STOPPED = 2


@dataclass(frozen=True, eq=False)
class ActionCommand:
    """A received action: source, its sequence number, float32 values (A,) in robot units, not yet checked."""

    source: str
    sequence: int
    values: NDArray[np.float32]

    def is_same(self, other: 'ActionCommand') -> bool:
        """Whether this is a repetition of `other`. A restarted source counts from 1 again, but with other values."""
        same = (self.source, self.sequence) == (other.source, other.sequence)
        return same and np.array_equal(self.values, other.values, equal_nan=True)


@dataclass(frozen=True, eq=False)
class CommandResult:
    """Result of a command."""

    command: ActionCommand
    motion: ActionExecution
    code: RefusalCode = RefusalCode.NONE
    text: str = ''


Output = CommandResult | SensorFrame


class Pace(ABC):
    """Base class: checks commands, answers repeated ones from a cache, refuses while stopped.

    Args:
        robot: not yet reset.
    """

    def __init__(self, robot: SimulatedRobot) -> None:
        self._robot = robot
        self._stopped = False
        # The last result of each source: only the last command is repeated.
        self._results: dict[str, CommandResult] = {}

    @property
    def status(self) -> Status:
        """State of the robot."""
        return Status.STOPPED if self._stopped else Status.READY

    @property
    def due_ns(self) -> int | None:
        """Time at which `poll` is due, or None."""
        return None

    @abstractmethod
    def now_ns(self, clock_ns: int) -> int:
        """Returns the robot's time at `clock_ns` of the machine's clock."""

    @abstractmethod
    def start(self, now_ns: int) -> list[Output]:
        """Begins the first episode."""

    @abstractmethod
    def tick(self, now_ns: int) -> list[Output]:
        """Returns the next image in real time; the last one in lock-step, called after a long pause only."""

    @abstractmethod
    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """Returns joint angles, rad (J,)."""

    @abstractmethod
    def _accept(self, command: ActionCommand, now_ns: int) -> list[Output]:
        """Carries out a checked, new command."""

    @abstractmethod
    def _repeat(self, result: CommandResult) -> list[Output]:
        """Answers a repeated command."""

    def submit(self, command: ActionCommand, now_ns: int) -> list[Output]:
        """Takes a command: carries it out, refuses it, or returns the result of its first copy."""
        known = self._results.get(command.source)
        if known is not None and command.is_same(known.command):
            return self._repeat(known)
        code, text = self._validate(command)
        if code:
            return [self._refuse(command, code, text, now_ns)]
        return self._accept(command, now_ns)

    def poll(self, now_ns: int) -> list[Output]:
        """Ends and starts the actions that are due."""
        return []

    def stop(self, now_ns: int) -> list[Output]:
        """Stops all motion and refuses commands until `rearm`."""
        self._stopped = True
        return []

    def rearm(self) -> None:
        """Accepts commands again."""
        self._stopped = False

    def _validate(self, command: ActionCommand) -> tuple[RefusalCode, str]:
        expected = len(self._robot.info.channels)
        if command.values.size != expected:
            return RefusalCode.WRONG_LENGTH, f'expected {expected} values, found {command.values.size}'
        if not np.isfinite(command.values).all():
            return RefusalCode.NON_FINITE, f'expected finite values, found {command.values.tolist()}'
        if self._stopped:
            return RefusalCode.NOT_READY, 'stopped by emergency_stop; call rearm'
        return RefusalCode.NONE, ''

    def _refuse(self, command: ActionCommand, code: RefusalCode, text: str, now_ns: int) -> CommandResult:
        joints = self.joints(now_ns)
        nothing = np.zeros(len(self._robot.info.channels), np.float32)
        motion = ActionExecution(command.values, nothing, joints, joints, now_ns, now_ns)
        return self._store(CommandResult(command, motion, code, text))

    def _store(self, result: CommandResult) -> CommandResult:
        self._results[result.command.source] = result
        return result
