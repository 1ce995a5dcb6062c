"""Real time: images by the clock, actions that take as long as they take."""

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .pace import Answer, Command, Output, Pace, Refusal, Status
from .robot import Frame, Motion, NS, SimulatedRobot


class RealTime(Pace):
    """One action moves, one more may wait; a newer one takes the place of the one that waits.

    Args:
        robot: not yet reset.
        latency: s from hearing an action to its start.
    """

    def __init__(self, robot: SimulatedRobot, latency: float) -> None:
        super().__init__(robot)
        self._latency_ns = round(latency * NS)
        self._world_start_ns = 0
        self._moving: tuple[Command, Motion] | None = None
        self._waiting: tuple[Command, int] | None = None  # with the time of its earliest start
        self._has_ended = False  # the episode; its last image is still to be shown
        self._late: deque[Frame] = deque()

    @property
    def status(self) -> Status:
        """See Pace."""
        return Status.MOVING if self._moving and not self._stopped else super().status

    @property
    def due_ns(self) -> int | None:
        """See Pace."""
        if self._moving:
            return self._moving[1].end_ns
        return self._waiting[1] if self._waiting else None

    def now_ns(self, clock_ns: int) -> int:
        """See Pace: the clock's."""
        return clock_ns

    def start(self, now_ns: int) -> list[Output]:
        """See Pace."""
        self._world_start_ns = now_ns
        self._robot.restart(now_ns)
        return []

    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """See Pace."""
        return self._robot.joints(now_ns)

    def tick(self, now_ns: int) -> list[Output]:
        """See Pace: takes an image; a late one holds up those behind it, as in a camera's queue."""
        outputs = self.poll(now_ns)
        self._late.append(self._robot.sense(now_ns, self._world_start_ns))
        if self._has_ended:
            self._begin_episode(now_ns)
        while self._late and self._late[0].arrival_ns <= now_ns:
            outputs.append(self._late.popleft())
        return outputs

    def poll(self, now_ns: int) -> list[Output]:
        """See Pace."""
        outputs: list[Output] = []
        while (due := self.due_ns) is not None and now_ns >= due:
            if self._moving:
                outputs.append(self._finish(*self._moving))
            elif self._waiting:
                self._begin(self._waiting[0], now_ns)
        return outputs

    def stop(self, now_ns: int) -> list[Output]:
        """See Pace. What had moved by then counts as applied."""
        outputs = self.poll(now_ns)
        super().stop(now_ns)
        if self._moving:
            answer = self._finish(self._moving[0], self._robot.halt(now_ns))
            outputs.append(self._remember(replace(answer, text='cut short by emergency_stop')))
        if self._waiting:
            text = 'stopped by emergency_stop before it began'
            outputs.append(self._refuse(self._waiting[0], Refusal.NOT_READY, text, now_ns))
            self._waiting = None
        return outputs

    def _accept(self, command: Command, now_ns: int) -> list[Output]:
        under_way = [slot[0] for slot in (self._moving, self._waiting) if slot]
        if any(command.is_same(other) for other in under_way):
            return []  # answered when it ends
        outputs: list[Output] = self.poll(now_ns)
        if self._waiting:
            text = 'a newer action took its place before it began'
            outputs.append(self._refuse(self._waiting[0], Refusal.NOT_READY, text, now_ns))
        self._waiting = (command, now_ns + self._latency_ns)
        return outputs + self.poll(now_ns)

    def _repeat(self, answer: Answer) -> list[Output]:
        return [answer]

    def _begin(self, command: Command, now_ns: int) -> None:
        self._waiting = None
        if self._has_ended:
            self._begin_episode(now_ns)
        motion = self._robot.begin(command.values, now_ns)
        self._moving = (command, motion) if motion else None

    def _finish(self, command: Command, motion: Motion) -> Answer:
        self._moving = None
        self._has_ended = motion.terminal or motion.truncated
        return self._remember(Answer(command, motion))

    def _begin_episode(self, now_ns: int) -> None:
        self._has_ended = False
        self._robot.restart(now_ns)
