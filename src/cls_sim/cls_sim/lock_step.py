"""Lock-step: one image for each action, time stands still between actions."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .pace import ActionCommand, CommandResult, Output, Pace
from .robot import ActionExecution, SensorFrame, Step


class LockStep(Pace):
    """Publishes the results of `SimulatedRobot.step`; independent of the machine's clock."""

    # The images of the last action; two if it ended an episode.
    _frames: list[SensorFrame]
    # The first image of the episode, if the last action began from it.
    _first: list[SensorFrame]
    _joints: NDArray[np.float64]

    def now_ns(self, clock_ns: int) -> int:
        """See Pace: simulated time."""
        return self._robot.now_ns

    def start(self, now_ns: int) -> list[Output]:
        """See Pace."""
        self._first = []
        self._set_frames(self._robot.reset())
        self._begins = True
        return [*self._frames]

    def tick(self, now_ns: int) -> list[Output]:
        """See Pace: the last images again, for a subscriber that came late or lost them.

        A learner that was restarted knows the images before the last action from its journal, but not the first one
        of an episode: that one is repeated too.
        """
        return [*self._first, *self._frames]

    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """See Pace."""
        return self._joints

    def _accept(self, command: ActionCommand, now_ns: int) -> list[Output]:
        step = self._robot.step(command.values)
        if step.lost:
            return []
        self._first = self._frames[-1:] if self._begins else []
        self._begins = step.restart is not None
        self._set_frames(step)
        return [self._store(CommandResult(command, _to_execution(step))), *self._frames]

    def _repeat(self, result: CommandResult) -> list[Output]:
        return [result, *self._frames]

    def _set_frames(self, step: Step) -> None:
        self._frames = [
            SensorFrame(s.image, s.joints, s.stamp_ns, s.stamp_ns, s.observations) for s in _with_restart(step)
        ]
        self._joints = self._frames[-1].joints


def _with_restart(step: Step) -> Iterator[Step]:
    yield step
    if step.restart is not None:
        yield step.restart


def _to_execution(step: Step) -> ActionExecution:
    return ActionExecution(
        step.commanded,
        step.applied,
        step.joints_before,
        step.joints,
        step.start_ns,
        step.end_ns,
        step.reward,
        step.terminal,
        step.truncated,
    )
