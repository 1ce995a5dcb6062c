"""Sends one action at a time: the next one after the answer and the observation that follow the last one. Pure."""

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
# An action or its answer may be lost during discovery, so an action is sent again. A driver answers a repeated sequence
# number but executes it once.
ASK_AGAIN, GIVE_UP = 0.5, 5.0
# s to wait after a refusal, so that a refusing robot is not flooded.
REST = 0.5
# s until an outcome counts as missing: a simulator in lock-step publishes its last image again after 2 s.
LATE = 3.0
# The observation given to the policy: empty, because no encoder runs here. Policies that need one are refused.
NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Command:
    """An action to send: its sequence number and its values, float32 (A,) in the robot's units."""

    sequence: int
    values: Floats


@dataclass
class Actor:
    """Runs a policy on one robot. The caller passes messages in and sends what `act` and `repeat` return.

    Attributes:
        policy: chooses actions; it receives an empty observation.
        max_rate: actions per second at most; 0: as fast as the robot answers.
        steps: number of actions; 0: no limit.
        seed: seed of the policy's random numbers.
        clock: steady time, s.
        ended: reason why no further action follows; empty while the run goes on.
        news: a warning to show once; empty if there is none.
    """

    policy: Policy
    robot: RobotInfo
    max_rate: float = 0.0
    steps: int = 0
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    ended: str = ''
    news: str = ''
    last: Floats | None = None
    statistics: Statistics = field(init=False)
    # Starts from the clock, so that sequence numbers also rise over a restart of this program.
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
        """Whether the outcome of an action is awaited and not overdue."""
        return self._wake.is_open and not self._is_late

    @property
    def lacks(self) -> str:
        """The message that is still missing before an action can be sent; empty if none is."""
        if self._wake.newest is None:
            return 'an image or observation'
        return '' if len(self._wake.joints) == len(self.robot.joint_names) else 'joint_states'

    def restart(self) -> None:
        """Discards observations and joints; called when the robot has restarted."""
        self._wake.reset()
        self._wake.joints = np.zeros(0)

    def set_joints(self, joints: Doubles) -> None:
        """Sets joint angles, float64 (J,), rad."""
        if not self._wake.is_open and np.isfinite(joints).all():
            self._wake.joints = joints

    def add_observation(self, stamp: int) -> None:
        """Adds an observation by its stamp, ns."""
        self._close(self._wake.add_reading(EMBEDDING, Reading(NOTHING, stamp)))

    def add_applied_action(self, sequence: int, source: str, applied: Applied, trouble: str = '') -> bool:
        """Adds the robot's answer to an action and returns whether the action was ours.

        Args:
            trouble: reason of a refusal; empty if the action was executed.
        """
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
        """Returns the next action if one is due, else None; sets `ended` after the last one.

        Raises:
            UserError: the typed text is no action; call again.
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
        if self.max_rate > 0:
            period = 1.0 / self.max_rate
            # Counted from the last due time, so that delays do not add up; from now if that is long past.
            self._not_before = (self._not_before if now - self._not_before < period else now) + period

    @property
    def rest(self) -> float:
        """Seconds until the next action is due by `max_rate`; 0 if it is due."""
        return max(0.0, self._not_before - self.clock())

    def _may_act(self) -> bool:
        return self._wake.can_start and not self.lacks and self.clock() >= self._not_before

    def _choose(self) -> Floats:
        # Only executed actions count as steps: a refused action is chosen again.
        step = self.statistics.actions
        return self.robot.to_units(self.policy.act(NOTHING, self._wake.joints, step, stream(self.seed, 'run', step)))

    def repeat(self) -> Command | None:
        """Returns the last action again if it is unanswered, else None; counts overdue answers and observations."""
        now = self.clock()
        if not self._wake.is_unanswered:
            if self.is_busy and now - self._answered > LATE:
                self._is_late = True
                self.statistics.missing += 1
                self.news = f'no observation within {LATE:g} s after an action; waiting'
        elif self._wake.expire(now, GIVE_UP):
            self.statistics.unanswered += 1
            self.news = f'no answer to an action within {GIVE_UP:g} s'
        elif now - self._asked > ASK_AGAIN and self.last is not None:
            self._asked = now
            return Command(self._sequence, self.last)
        return None
