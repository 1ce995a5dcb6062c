"""One action after the other: the next when the robot has answered the last and shown what came of it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
import time

import numpy as np

from cls_common.robot import RobotInfo
from cls_common.step_builder import Applied, StepBuilder
from cls_common.transition import Doubles, EMBEDDING, Floats, Reading, Transition
from cls_learning.policies.contract import EndOfActionsError, Policy
from cls_learning.randomness import stream

from .statistics import Statistics

SOURCE = 'runner'
# An action or its answer may be lost while processes are still finding each other: a driver answers a sequence twice
# but acts on it once.
ASK_AGAIN, GIVE_UP = 0.5, 5.0
# A robot that refuses is not asked a thousand times a second.
REST = 0.5
# A simulator in lock-step shows its last image again after 2 s.
LATE = 3.0
# Policies that look at what is seen are refused beforehand: nothing encodes it here.
NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Command:
    """An action to send: its number, float32 (A,) values in the robot's units."""

    sequence: int
    values: Floats


@dataclass
class Actor:
    """Acts on one robot. Feed it what is heard; send what `act` and `repeat` return.

    Attributes:
        policy: chooses; its z has no length.
        rate: actions a second at most; 0: as fast as the robot answers and shows.
        steps: actions to do; 0: no end.
        seed: of chance.
        clock: steady time, s.
        ended: why there is no further action; empty while there is.
        news: a warning to show once; empty where there is none.
    """

    policy: Policy
    robot: RobotInfo
    rate: float = 0.0
    steps: int = 0
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    ended: str = ''
    news: str = ''
    last: Floats | None = None
    statistics: Statistics = field(init=False)
    # Numbers go on rising over a restart, so that no driver takes a new action for an old one.
    _sequence: int = field(default_factory=lambda: time.time_ns() // 1000)
    _not_before: float = 0.0
    _asked: float = 0.0
    _answered: float = 0.0
    _is_late: bool = False

    def __post_init__(self) -> None:
        self.statistics = Statistics(self.robot.channels)
        self._first_sequence = self._sequence
        self._wake = StepBuilder(settle_time=self.robot.settle_time)

    @property
    def is_busy(self) -> bool:
        """Whether the outcome of an action is still awaited, and not overdue."""
        return self._wake.is_open and not self._is_late

    @property
    def lacks(self) -> str:
        """What has not been heard yet and is needed to act; empty where nothing."""
        if self._wake.newest is None:
            return 'an image or observation'
        return '' if len(self._wake.joints) == len(self.robot.joint_names) else 'joint_states'

    def restart(self) -> None:
        """The robot began anew: what was seen before says nothing any more."""
        self._wake.reset()
        self._wake.joints = np.zeros(0)

    def feel(self, joints: Doubles) -> None:
        """Takes joint angles, float64 (J,), rad."""
        if not self._wake.is_open and np.isfinite(joints).all():
            self._wake.joints = joints

    def see(self, stamp: int) -> None:
        """Takes the stamp, ns, of an image or observation."""
        self._close(self._wake.add_reading(EMBEDDING, Reading(NOTHING, stamp)))

    def hear(self, sequence: int, source: str, applied: Applied, trouble: str = '') -> bool:
        """Takes the robot's answer to an action, `trouble` saying why it was refused; returns whether it was ours."""
        key = (source, sequence)
        is_ours = source == SOURCE and self._first_sequence < sequence <= self._sequence
        is_new = self._wake.is_unanswered and is_ours and sequence == self._sequence
        if trouble:
            if is_new:
                self._refuse(trouble)
            return is_ours
        if is_new:
            self.statistics.done(applied.commanded, applied.reward, applied.terminal or applied.truncated)
        if is_new or not is_ours:
            self._answered = self.clock()
            self._close(self._wake.add_applied_action(key, applied, self.clock()))
        return is_ours

    def _close(self, transition: Transition | None) -> None:
        if transition is not None:
            self._is_late = False
            self.policy.reward(transition, 0.0)

    def _refuse(self, reason: str) -> None:
        if reason not in self.statistics.refused:
            self.news = f'action refused: {reason}'
        self.statistics.refused[reason] += 1
        self._wake.break_chain()
        self._not_before = self.clock() + REST

    def act(self) -> Command | None:
        """Returns the next action where it is time for one; sets `ended` where there is none.

        Raises:
            UserError: a person typed what is no action; call again.
        """
        if self.steps and self.statistics.actions >= self.steps and not self.is_busy:
            self.ended = self.ended or f'all {self.steps} actions are done'
        if self.ended or not self._may_act():
            return None
        try:
            action = self._choose()
        except EndOfActionsError as end:
            self.ended = str(end)
            return None
        now = self.clock()
        self._sequence += 1
        self._wake.open((SOURCE, self._sequence), now)
        self.statistics.sent(now)
        self.last, self._asked, self._is_late = action, now, False
        self._pace(now)
        return Command(self._sequence, action)

    def _pace(self, now: float) -> None:
        if self.rate > 0:
            period = 1.0 / self.rate
            # By the last appointment, so that being late does not add up; anew where that is long past.
            self._not_before = (self._not_before if now - self._not_before < period else now) + period

    @property
    def rest(self) -> float:
        """Returns s until the next action is due by the rate; 0 where that does not hold it back."""
        return max(0.0, self._not_before - self.clock())

    def _may_act(self) -> bool:
        return self._wake.can_start and not self.lacks and self.clock() >= self._not_before

    def _choose(self) -> Floats:
        # Only what was done counts: a refused action is chosen again.
        step = self.statistics.actions
        return self.robot.to_units(self.policy.act(NOTHING, self._wake.joints, step, stream(self.seed, 'run', step)))

    def repeat(self) -> Command | None:
        """Returns the last action once more where nothing answered it; notes what is overdue."""
        now = self.clock()
        if not self._wake.is_unanswered:
            if self.is_busy and now - self._answered > LATE:
                self._is_late = True
                self.statistics.missing += 1
                self.news = f'nothing was seen within {LATE:g} s after an action; waiting'
        elif self._wake.expire(now, GIVE_UP):
            self.statistics.unanswered += 1
            self.news = f'no answer to an action within {GIVE_UP:g} s'
        elif now - self._asked > ASK_AGAIN and self.last is not None:
            self._asked = now
            return Command(self._sequence, self.last)
        return None
