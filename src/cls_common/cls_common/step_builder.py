"""Which observation belongs to which action: closes a transition from what arrives asynchronously.

The one rule, used by fast_learner, in replay and in export. Pure: feed it what arrives, with steady time in s.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .transition import Doubles, EMBEDDING, Floats, JOINTS, Observation, Reading, Transition

# Readings remembered of each sense, so that it does not matter whether an answer or its images arrive first.
_REMEMBERED = 1024
# Of images themselves fewer, 3 MiB of 64 x 64 pixels: at 30 Hz an action may take 8 s.
_REMEMBERED_IMAGES = 256
# A stamp further back than this is not a late image: a replay jumped, or a simulation began again.
_JUMP_NS = 1_000_000_000

# (source, sequence) of the action.
Key = tuple[str, int]


@dataclass(frozen=True)
class Applied:
    """What the robot did: robot units, rad, ns; as cls_interfaces/AppliedAction."""

    commanded: Floats
    applied: Floats
    joints_before: Doubles
    joints_after: Doubles
    start: int
    end: int
    reward: float
    terminal: bool
    truncated: bool


@dataclass
class _OpenStep:
    """A step whose outcome is awaited."""

    key: Key
    before: Observation
    boundary: bool
    since: float
    applied: Applied | None = None


@dataclass
class StepBuilder:
    """Pairs observations and applied actions to transitions.

    A step is closed by the first reading of every sense whose stamp lies after the action's end and the settle time.

    Attributes:
        senses: names of the readings that make an observation. JOINTS is none: see `adds_joints`.
        settle_time: s from an action's end to an undisturbed observation.
        max_still: s for which the last observation still stands for what a resting robot senses.
        lock_step: time stands still between actions; whether something else moved shows in the action's start.
        newest: the newest reading of every sense; None before each has given one.
        joints: newest known, rad (J,).
        adds_joints: JOINTS was among the senses. Observations then have the angles that the robot's answer gives.
    """

    senses: tuple[str, ...] = (EMBEDDING,)
    settle_time: float = 0.0
    max_still: float = 1.0
    lock_step: bool = False
    newest: Observation | None = None
    joints: Doubles = field(default_factory=lambda: np.zeros(0))
    _recent: dict[str, deque[Reading]] = field(default_factory=dict)
    _closed: Observation | None = None
    _step: _OpenStep | None = None
    _closed_at: int = -1
    _ended_at: int = -1
    _last_key: Key | None = None
    # Stamp of the end of the episode after which another process is continued; -1: none.
    _follows: int = -1
    adds_joints: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.set_senses(self.senses)

    def set_senses(self, senses: tuple[str, ...]) -> None:
        """Chooses what makes an observation; other senses than before clear everything sensed."""
        timed, adds_joints = tuple(sense for sense in senses if sense != JOINTS), JOINTS in senses
        if (timed, adds_joints) != (self.senses, self.adds_joints):
            self.reset()
            self.senses, self.adds_joints = timed, adds_joints

    @property
    def is_open(self) -> bool:
        """Whether an outcome is awaited."""
        return self._step is not None

    @property
    def is_unanswered(self) -> bool:
        """Whether the robot has not yet said what it did."""
        return self._step is not None and self._step.applied is None

    @property
    def can_start(self) -> bool:
        """Whether there is something to act from; after the end of an episode that is the next one's first reading."""
        newest = self.newest
        return self._step is None and newest is not None and self._is_of_episode(newest) and not self._is_end(newest)

    def awaits(self, key: Key) -> bool:
        """Whether the open step is that of the action `key`."""
        return self._step is not None and self._step.key == key

    def missing(self) -> list[str]:
        """Returns the senses that an answered step still waits for."""
        if self._step is None or self._step.applied is None:
            return []
        settled = self._settled(self._step.applied)
        return [sense for sense in self.senses if _first_after(self._recent.get(sense, ()), settled) is None]

    def start(self) -> tuple[Observation, bool]:
        """Returns the observation from which the next action acts, and whether it breaks the chain.

        While the robot rests, the last observation is used again, so that steps of a paced robot form unbroken windows.
        After a while, or when the robot was moved by something else, the newest observation begins a new chain.
        """
        assert self.newest is not None
        observation, is_new = self._start_from(self._next_episode() or self.newest)
        return self._complete(observation, self.joints), is_new

    def _complete(self, observation: Observation, joints: Doubles) -> Observation:
        return observation.with_joints(joints) if self.adds_joints else observation

    def _start_from(self, newest: Observation) -> tuple[Observation, bool]:
        closed = self._closed
        if closed is None or newest.stamp < closed.stamp:
            return newest, True
        rests = self.lock_step or newest.stamp - closed.stamp <= self.max_still * 1e9
        return (closed, False) if rests else (newest, True)

    def open(self, key: Key, now: float) -> None:
        """Opens a step for an action that is about to go out, or that another node sent."""
        before, boundary = self.start()
        self._follows = -1
        self._step = _OpenStep(key, before, boundary, now)

    def resume(self, last: Observation, joints: Doubles) -> None:
        """Continues a chain of another process: its last observation, and the joints there, rad (J,)."""
        self.break_chain()
        self._closed, self.joints = last, joints

    def resume_after(self, end: Observation) -> None:
        """Continues another process after the last observation of an episode.

        In lock-step the first action of the next episode may be done already. The step begins from the first
        observation after the end then too, so that the repeated action gets the answer of that process.
        """
        self.break_chain()
        self._follows = end.stamp

    def set_joints(self, joints: Doubles) -> None:
        """Takes joint angles, rad (J,). Those of the step under way, or of a chain in lock-step, are known better."""
        if self._step is None and not (self.lock_step and self._closed is not None):
            self.joints = joints

    def add_reading(self, sense: str, reading: Reading) -> Transition | None:
        """Takes a reading; returns the transition that it closes. One that is older than the newest is ignored."""
        recent = self._recent.get(sense)
        if recent and reading.stamp <= recent[-1].stamp:
            if recent[-1].stamp - reading.stamp <= _JUMP_NS:
                return None
            self.reset()
        if sense not in self._recent:
            self._recent[sense] = deque(maxlen=_REMEMBERED if reading.data.ndim == 1 else _REMEMBERED_IMAGES)
        self._recent[sense].append(reading)
        if all(self._recent.get(name) for name in self.senses):
            self.newest = Observation({name: self._recent[name][-1] for name in self.senses})
        return self._close()

    def add_applied_action(self, key: Key, applied: Applied, now: float) -> Transition | None:
        """Takes what the robot did; returns the transition that it closes.

        An action of another source (teleoperation, a replay) makes a step as well, if something was sensed before it;
        it continues the chain, unless it came on top of an open step. A second answer to the same action (it may have
        been asked twice) is ignored.
        """
        if key == self._last_key:
            return None
        if self._step is None or self._step.key != key:
            if self._step is not None:
                self.break_chain()
            before = self._newest_at(applied.start)
            if self._has_missed(key):
                self._closed = None
            if before is None:
                return None
            self._step = _OpenStep(key, *self._start_from(before), now)
        assert self._step is not None
        self._last_key = key
        if self.lock_step and self._has_moved(self._step.before.stamp, applied.start):
            self.break_chain()
            return None
        self._step.applied = applied
        return self._close()

    def _is_of_episode(self, observation: Observation) -> bool:
        return all(reading.stamp > self._ended_at for reading in observation.readings.values())

    def _is_end(self, observation: Observation) -> bool:
        """Whether it is that of the end which another process saw; an older one is of a simulation that began again."""
        return self.lock_step and any(reading.stamp == self._follows for reading in observation.readings.values())

    def _next_episode(self) -> Observation | None:
        """Returns the first observation after the end which another process saw; None without one."""
        if not self.lock_step or self._follows < 0:
            return None
        found = {sense: _first_after(self._recent[sense], self._follows) for sense in self.senses}
        readings = {sense: reading for sense, reading in found.items() if reading is not None}
        return Observation(readings) if len(readings) == len(self.senses) else None

    def _newest_at(self, time: int) -> Observation | None:
        """Returns what was sensed last at a time, ns.

        The last observation of an episode is not what the first action of the next one starts from.
        """
        if time < self._closed_at:
            return None  # it began before the last one had ended
        found: dict[str, Reading] = {}
        for sense in self.senses:
            reading = next((r for r in reversed(self._recent.get(sense, ())) if r.stamp <= time), None)
            if reading is None:
                return None
            found[sense] = reading
        observation = Observation(found)
        return observation if self._is_of_episode(observation) else None

    def _has_missed(self, key: Key) -> bool:
        """Whether an action of the same source came between that this object was not given."""
        last = self._last_key
        return last is not None and key[0] == last[0] and key[1] != last[1] + 1

    def _has_moved(self, since: int, until: int) -> bool:
        """Whether another action came between: in lock-step a reading between two times shows it."""
        between = (since < r.stamp <= until for sense in self.senses for r in self._recent.get(sense, ()))
        return until < since or any(between)

    def _settled(self, applied: Applied) -> float:
        return applied.end + self.settle_time * 1e9

    def _close(self) -> Transition | None:
        step = self._step
        if step is None or step.applied is None:
            return None
        done = step.applied
        found: dict[str, Reading] = {}
        for sense in self.senses:
            reading = _first_after(self._recent.get(sense, ()), self._settled(done))
            if reading is None:
                return None
            found[sense] = reading
        before = self._complete(step.before, done.joints_before)
        after = self._complete(Observation(found), done.joints_after)
        self._step = None
        self._follows = -1
        ended = done.terminal or done.truncated
        self._closed = None if ended else after
        self._closed_at = after.stamp
        self._ended_at = after.stamp if ended else -1
        self.joints = done.joints_after
        return Transition(
            before=before, after=after, action_commanded=done.commanded, action_applied=done.applied,
            joints=done.joints_before, joints_next=done.joints_after, boundary=step.boundary, reward=done.reward,
            terminal=done.terminal, truncated=done.truncated,
        )  # fmt: skip

    def expire(self, now: float, timeout: float) -> bool:
        """Gives up a step that got no answer or no observation in time; returns whether there was one."""
        if self._step is None or now - self._step.since <= timeout:
            return False
        # An answer that comes after all is of no use any more.
        self._last_key = self._step.key
        self.break_chain()
        return True

    def reset(self) -> None:
        """Clears everything sensed: another robot, or the same one restarted, with another clock."""
        self.break_chain()
        self._recent.clear()
        self.newest = None
        self._ended_at = self._closed_at = self._follows = -1

    def break_chain(self) -> None:
        """Clears the open step and what came before it: the next step begins a new chain."""
        self._step = None
        self._closed = None


def _first_after(readings: Iterable[Reading], time: float) -> Reading | None:
    return next((reading for reading in readings if reading.stamp > time), None)
