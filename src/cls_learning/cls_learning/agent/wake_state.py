"""What fast_learner knows between messages: the open step, the newest embedding, whether the chain is unbroken.

Pure: nodes feed it what they hear, with steady time in s, and ask it what to do.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from ..types import Doubles, Floats, Transition

# Embeddings remembered, so that it does not matter whether an answer or its images arrive first.
_REMEMBERED = 1024
# A stamp further back than this is no late image but another time: a replay that jumped, a world that began anew.
_JUMP_NS = 1_000_000_000


@dataclass(frozen=True)
class Seen:
    """An embedding: raw z, ns stamp of its image, and who made it."""

    z: Floats
    stamp: int
    encoder_id: str = ''
    encoder_version: int = 0


@dataclass(frozen=True)
class Applied:
    """What the body did: robot units, rad, ns; as cls_interfaces/AppliedAction."""

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
class OpenStep:
    """A step whose outcome is awaited: (source, sequence) names its action."""

    key: tuple[str, int]
    z: Seen
    boundary: bool
    since: float
    applied: Applied | None = None


@dataclass
class WakeState:
    """Pairs embeddings and applied actions to transitions.

    Attributes:
        settle_time: s from an action's end to an undisturbed image.
        max_still: s for which z_next still stands for what a resting robot sees.
        lock_step: time stands still between actions; whether something else moved shows in the action's start.
    """

    settle_time: float = 0.0
    max_still: float = 1.0
    lock_step: bool = False
    newest: Seen | None = None
    joints: Doubles = field(default_factory=lambda: np.zeros(0))
    _recent: deque[Seen] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _closed: Seen | None = None
    _step: OpenStep | None = None
    _closed_at: int = -1
    _ended_at: int = -1
    _last_key: tuple[str, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether an outcome is awaited."""
        return self._step is not None

    @property
    def can_start(self) -> bool:
        """Whether there is something to act from; after the end of an episode that is the next one's first image."""
        return self._step is None and self.newest is not None and self.newest.stamp > self._ended_at

    def start(self) -> tuple[Seen, bool]:
        """Returns the z from which the next action acts, and whether it breaks the chain.

        While the robot rests, the last z_next goes on standing for what it sees, so that steps of a paced robot form
        unbroken windows; after a while, or when something else moved it, the newest embedding begins a new chain.
        """
        assert self.newest is not None
        return self._start_from(self.newest)

    def _start_from(self, newest: Seen) -> tuple[Seen, bool]:
        closed = self._closed
        if closed is None or newest.stamp < closed.stamp:
            return newest, True
        rests = self.lock_step or newest.stamp - closed.stamp <= self.max_still * 1e9
        return (closed, False) if rests else (newest, True)

    def open(self, key: tuple[str, int], now: float) -> None:
        """Opens a step for an action that is about to go out, or that somebody else sent."""
        z, boundary = self.start()
        self._step = OpenStep(key, z, boundary, now)

    def go_on(self, last: Seen, joints: Doubles) -> None:
        """Goes on with a chain that another process lived before: its last z_next, and the joints there, rad."""
        self.break_chain()
        self._closed, self.joints = last, joints

    @property
    def is_unanswered(self) -> bool:
        """Whether the body has not yet said what it did."""
        return self._step is not None and self._step.applied is None

    def awaits(self, key: tuple[str, int]) -> bool:
        """Whether the open step is that of the action `key`."""
        return self._step is not None and self._step.key == key

    def feel(self, joints: Doubles) -> None:
        """Takes joint angles, rad (J,). Those of the step under way, or of a chain in lock-step, are known better."""
        if self._step is None and not (self.lock_step and self._closed is not None):
            self.joints = joints

    def see(self, seen: Seen) -> Transition | None:
        """Takes an embedding; returns the transition that it closes. One that came before is ignored."""
        if self.newest is not None and seen.stamp <= self.newest.stamp:
            if self.newest.stamp - seen.stamp <= _JUMP_NS:
                return None
            self.restart()
        self.newest = seen
        self._recent.append(seen)
        return self._close()

    def hear(self, key: tuple[str, int], applied: Applied, now: float) -> Transition | None:
        """Takes what the body did; returns the transition that it closes.

        An action that nobody here sent (teleop's, a replayed one) is lived through as well, if there was something to
        see before it; it goes on with the chain, unless it came on top of an open step. A second answer to the same
        action (it may have been asked twice) says nothing new.
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
            self._step = OpenStep(key, *self._start_from(before), now)
        assert self._step is not None
        self._last_key = key
        if self.lock_step and self._has_moved(self._step.z.stamp, applied.start):
            self.break_chain()
            return None
        self._step.applied = applied
        return self._close()

    def _newest_at(self, time: int) -> Seen | None:
        """Returns what was seen last at a time, ns.

        The last image of an episode is not what the first action of the next one starts from.
        """
        if time < self._closed_at:
            return None  # it began before the last one had ended
        before = (seen for seen in reversed(self._recent) if seen.stamp <= time)
        found = next(before, None)
        return found if found is not None and found.stamp > self._ended_at else None

    def _has_missed(self, key: tuple[str, int]) -> bool:
        """Whether an action of the same source came between that nobody here heard of."""
        last = self._last_key
        return last is not None and key[0] == last[0] and key[1] != last[1] + 1

    def _has_moved(self, since: int, until: int) -> bool:
        """Whether something acted that nobody here heard of: in lock-step an image between two times shows it."""
        return until < since or any(since < seen.stamp <= until for seen in self._recent)

    def _close(self) -> Transition | None:
        step = self._step
        if step is None or step.applied is None:
            return None
        done = step.applied
        settled = done.end + self.settle_time * 1e9
        seen = next((seen for seen in self._recent if seen.stamp > settled), None)
        if seen is None:
            return None
        self._step = None
        ended = done.terminal or done.truncated
        self._closed = None if ended else seen
        self._closed_at = seen.stamp
        self._ended_at = seen.stamp if ended else -1
        self.joints = done.joints_after
        return Transition(
            z=step.z.z, z_next=seen.z, action_commanded=done.commanded, action_applied=done.applied,
            joints=done.joints_before, joints_next=done.joints_after, boundary=step.boundary, stamp_z=step.z.stamp,
            stamp_next=seen.stamp, reward=done.reward, terminal=done.terminal, truncated=done.truncated,
        )  # fmt: skip

    def expire(self, now: float, timeout: float) -> bool:
        """Gives up a step that got no answer in time; returns whether there was one."""
        if self._step is None or now - self._step.since <= timeout:
            return False
        # An answer that comes after all is of no use any more.
        self._last_key = self._step.key
        self.break_chain()
        return True

    def restart(self) -> None:
        """Forgets what was seen: another robot, or the same one anew, with another clock."""
        self.break_chain()
        self._recent.clear()
        self.newest = None
        self._ended_at = self._closed_at = -1

    def break_chain(self) -> None:
        """Forgets the open step and what came before it: the next step begins a new chain (H2)."""
        self._step = None
        self._closed = None
