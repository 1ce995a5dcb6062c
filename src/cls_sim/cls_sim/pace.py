"""When a simulated robot acts and shows itself: the contract of real time and lock-step.

A pace is told what was heard and what time it is, and returns what is to be published, in order.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .robot import Frame, Motion, SimulatedRobot


class Refusal(IntEnum):
    """Why an action was not done. Values equal the constants of cls_interfaces/AppliedAction."""

    NONE = 0
    NON_FINITE = 210
    WRONG_LENGTH = 211
    NOT_READY = 212


class Status(IntEnum):
    """Whether the robot may be moved. Values equal the constants of cls_interfaces/RobotState."""

    READY = 0
    MOVING = 1
    STOPPED = 2


@dataclass(frozen=True, eq=False)
class Command:
    """An action as heard: who asked, their count, float32 values in robot units, not yet checked."""

    source: str
    sequence: int
    values: NDArray[np.float32]

    def is_same(self, other: 'Command') -> bool:
        """Whether this is `other` sent again. A source that starts anew counts from 1, but asks for other values."""
        same = (self.source, self.sequence) == (other.source, other.sequence)
        return same and np.array_equal(self.values, other.values, equal_nan=True)


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of a command."""

    command: Command
    motion: Motion
    code: Refusal = Refusal.NONE
    text: str = ''


Output = Answer | Frame


class Pace(ABC):
    """Common to both: checks commands, answers repeated ones from memory, refuses while stopped.

    Args:
        robot: not yet reset.
    """

    def __init__(self, robot: SimulatedRobot) -> None:
        self._robot = robot
        self._stopped = False
        # Only the last answer of each source: whoever repeats a command repeats the last one.
        self._answers: dict[str, Answer] = {}

    @property
    def status(self) -> Status:
        """Whether the robot may be moved."""
        return Status.STOPPED if self._stopped else Status.READY

    @property
    def due_ns(self) -> int | None:
        """When `poll` has something to do, or None."""
        return None

    @abstractmethod
    def now_ns(self, clock_ns: int) -> int:
        """Returns the robot's time when the machine's clock shows `clock_ns`."""

    @abstractmethod
    def start(self, now_ns: int) -> list[Output]:
        """Begins the first episode."""

    @abstractmethod
    def tick(self, now_ns: int) -> list[Output]:
        """Is called once for each image in real time, and when nothing was heard for long in lock-step."""

    @abstractmethod
    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """Returns joint angles, rad (J,)."""

    @abstractmethod
    def _accept(self, command: Command, now_ns: int) -> list[Output]:
        """Does a checked command that was not heard before."""

    @abstractmethod
    def _repeat(self, answer: Answer) -> list[Output]:
        """Answers a command that was heard before."""

    def hear(self, command: Command, now_ns: int) -> list[Output]:
        """Hears a command: does it, refuses it, or answers it again."""
        known = self._answers.get(command.source)
        if known is not None and command.is_same(known.command):
            return self._repeat(known)
        code, text = self._objection(command)
        if code:
            return [self._refuse(command, code, text, now_ns)]
        return self._accept(command, now_ns)

    def poll(self, now_ns: int) -> list[Output]:
        """Ends and starts what is due."""
        return []

    def stop(self, now_ns: int) -> list[Output]:
        """Stops all motion and refuses commands until `rearm`."""
        self._stopped = True
        return []

    def rearm(self) -> None:
        """Takes commands again."""
        self._stopped = False

    def _objection(self, command: Command) -> tuple[Refusal, str]:
        expected = len(self._robot.info.channels)
        if command.values.size != expected:
            return Refusal.WRONG_LENGTH, f'expected {expected} values, found {command.values.size}'
        if not np.isfinite(command.values).all():
            return Refusal.NON_FINITE, f'expected finite values, found {command.values.tolist()}'
        if self._stopped:
            return Refusal.NOT_READY, 'stopped by emergency_stop; call rearm'
        return Refusal.NONE, ''

    def _refuse(self, command: Command, code: Refusal, text: str, now_ns: int) -> Answer:
        joints = self.joints(now_ns)
        nothing = np.zeros(len(self._robot.info.channels), np.float32)
        motion = Motion(command.values, nothing, joints, joints, now_ns, now_ns)
        return self._remember(Answer(command, motion, code, text))

    def _remember(self, answer: Answer) -> Answer:
        self._answers[answer.command.source] = answer
        return answer
