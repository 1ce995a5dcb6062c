"""Lock-step: one image for each action, time stands still in between."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .pace import Answer, Command, Output, Pace
from .robot import Frame, Motion, Step


class LockStep(Pace):
    """Publishes what `SimulatedRobot.step` returns; the machine's clock plays no part."""

    # The images of the last action; two where it ended an episode.
    _shown: list[Frame]
    _joints: NDArray[np.float64]

    def now_ns(self, clock_ns: int) -> int:
        """See Pace: simulated time."""
        return self._robot.now_ns

    def start(self, now_ns: int) -> list[Output]:
        """See Pace."""
        self._show(self._robot.reset())
        return [*self._shown]

    def tick(self, now_ns: int) -> list[Output]:
        """See Pace: the last image again, for a listener that came late or lost it."""
        return [*self._shown[-1:]]

    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """See Pace."""
        return self._joints

    def _accept(self, command: Command, now_ns: int) -> list[Output]:
        step = self._robot.step(command.values)
        if step.lost:
            return []
        self._show(step)
        return [self._remember(Answer(command, _motion(step))), *self._shown]

    def _repeat(self, answer: Answer) -> list[Output]:
        return [answer, *self._shown]

    def _show(self, step: Step) -> None:
        self._shown = [Frame(s.image, s.joints, s.stamp_ns, s.stamp_ns, s.observations) for s in _with_restart(step)]
        self._joints = self._shown[-1].joints


def _with_restart(step: Step) -> Iterator[Step]:
    yield step
    if step.restart is not None:
        yield step.restart


def _motion(step: Step) -> Motion:
    return Motion(
        step.commanded, step.applied, step.joints_before, step.joints, step.start_ns, step.end_ns,
        step.reward, step.terminal, step.truncated,
    )  # fmt: skip
