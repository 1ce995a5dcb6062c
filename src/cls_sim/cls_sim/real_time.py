"""Real time: images by the clock, actions with their real duration."""

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cls_common.stamps import NS

from .pace import ActionCommand, CommandResult, Output, Pace, RefusalCode, Status
from .robot import ActionExecution, SensorFrame, SimulatedRobot


class RealTime(Pace):
    """One action is carried out, one more may be pending; a newer one replaces the pending one.

    Args:
        robot: not yet reset.
        latency: s from receiving an action to its start.
    """

    def __init__(self, robot: SimulatedRobot, latency: float) -> None:
        super().__init__(robot)
        self._latency_ns = round(latency * NS)
        self._world_start_ns = 0
        self._moving: tuple[ActionCommand, ActionExecution] | None = None
        self._pending: tuple[ActionCommand, int] | None = None  # and the time of its earliest start
        self._has_ended = False  # the episode; its last image is not yet published
        self._delayed: deque[SensorFrame] = deque()

    @property
    def status(self) -> Status:
        """See Pace."""
        return Status.MOVING if self._moving and not self._stopped else super().status

    @property
    def due_ns(self) -> int | None:
        """See Pace."""
        if self._moving:
            return self._moving[1].end_ns
        return self._pending[1] if self._pending else None

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
        """See Pace: takes an image; a delayed one delays those after it, as in a camera's queue."""
        outputs = self.poll(now_ns)
        self._delayed.append(self._robot.sense(now_ns, self._world_start_ns))
        if self._has_ended:
            self._begin_episode(now_ns)
        while self._delayed and self._delayed[0].arrival_ns <= now_ns:
            outputs.append(self._delayed.popleft())
        return outputs

    def poll(self, now_ns: int) -> list[Output]:
        """See Pace."""
        outputs: list[Output] = []
        while (due := self.due_ns) is not None and now_ns >= due:
            if self._moving:
                outputs.append(self._finish(*self._moving))
            elif self._pending:
                self._begin(self._pending[0], now_ns)
        return outputs

    def stop(self, now_ns: int) -> list[Output]:
        """See Pace. The motion up to then counts as applied."""
        outputs = self.poll(now_ns)
        super().stop(now_ns)
        if self._moving:
            result = self._finish(self._moving[0], self._robot.halt(now_ns))
            outputs.append(self._store(replace(result, text='cut short by emergency_stop')))
        if self._pending:
            text = 'stopped by emergency_stop before it began'
            outputs.append(self._refuse(self._pending[0], RefusalCode.NOT_READY, text, now_ns))
            self._pending = None
        return outputs

    def _accept(self, command: ActionCommand, now_ns: int) -> list[Output]:
        active = [slot[0] for slot in (self._moving, self._pending) if slot]
        if any(command.is_same(other) for other in active):
            return []  # answered when it ends
        outputs: list[Output] = self.poll(now_ns)
        if self._pending:
            text = 'a newer action replaced it before it began'
            outputs.append(self._refuse(self._pending[0], RefusalCode.NOT_READY, text, now_ns))
        self._pending = (command, now_ns + self._latency_ns)
        return outputs + self.poll(now_ns)

    def _repeat(self, result: CommandResult) -> list[Output]:
        return [result]

    def _begin(self, command: ActionCommand, now_ns: int) -> None:
        self._pending = None
        if self._has_ended:
            self._begin_episode(now_ns)
        motion = self._robot.begin(command.values, now_ns, self._world_start_ns)
        self._moving = (command, motion) if motion else None

    def _finish(self, command: ActionCommand, motion: ActionExecution) -> CommandResult:
        self._moving = None
        self._has_ended = motion.terminal or motion.truncated
        return self._store(CommandResult(command, motion))

    def _begin_episode(self, now_ns: int) -> None:
        self._has_ended = False
        self._robot.restart(now_ns)
