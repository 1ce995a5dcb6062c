"""Tracks the answers that a replay waits for: the learner's experience and the encoder's embedding."""

from dataclasses import dataclass

from .items import RecordedAction


@dataclass
class _Step:
    """A published action: stamp after which an image shows its result, and the stamp of that image, ns."""

    settled_ns: float
    ends_episode: bool
    closing_ns: int | None = None


class StepTracker:
    """Tracks one step at a time: an action, the image that shows its result, the experience made from both.

    They are paired by the learner's rules (docs/graph.md): z is the newest image up to the action's start, z_next the
    first one after its end and settle time.

    Attributes:
        unanswered: number of actions without an experience in time, or that can't have one.
    """

    def __init__(self, timeout: float) -> None:
        self.unanswered = 0
        self._timeout = timeout
        self._step: _Step | None = None
        self._embedding_ns: int | None = None
        self._since = 0.0
        # Stamps, ns: the first image since the last boundary, and the one that completed the last step.
        self._first_ns: int | None = None
        self._closed_ns = -1

    @property
    def is_open(self) -> bool:
        """Whether an action was published and the image of its result was not yet."""
        return self._step is not None and self._step.closing_ns is None

    @property
    def awaits_experience(self) -> bool:
        """Whether the learner has all that it needs for an experience."""
        return self._step is not None and self._step.closing_ns is not None

    @property
    def awaits_anything(self) -> bool:
        """Whether publishing has to wait for an answer."""
        return self.awaits_experience or self._embedding_ns is not None

    def reset(self) -> None:
        """Discards the open step and the first image; called at a boundary."""
        self._step = self._embedding_ns = self._first_ns = None
        self._closed_ns = -1

    def on_action(self, action: RecordedAction, settle_time: float) -> None:
        """Records a published action; settle time in s."""
        if action.is_refused:
            # A learner marks a boundary here.
            self.unanswered += self._step is not None
            self._step = None
            return
        self.unanswered += self._step is not None
        self._step = None
        if self._first_ns is None or self._first_ns > action.start_ns or action.start_ns < self._closed_ns:
            self.unanswered += 1
            return
        # In floats, like the learner, so that both round alike.
        self._step = _Step(action.end_ns + settle_time * 1e9, action.ends_episode)

    def on_observation(self, stamp_ns: int, now: float, *, is_embedded_elsewhere: bool) -> None:
        """Records a published image, observation or embedding; steady time in s.

        Args:
            is_embedded_elsewhere: an encoder has yet to embed it.
        """
        self._since = now
        if is_embedded_elsewhere:
            self._embedding_ns = stamp_ns
        if self._first_ns is None:
            self._first_ns = stamp_ns
        step = self._step
        if step is None or step.closing_ns is not None or stamp_ns <= step.settled_ns:
            return
        step.closing_ns = self._closed_ns = stamp_ns
        if step.ends_episode:
            # The last image of an episode does not begin the next one.
            self._first_ns = None

    def on_embedding(self, stamp_ns: int) -> bool:
        """Records an embedding of the encoder; returns whether it is the awaited one."""
        if self._embedding_ns is None or stamp_ns < self._embedding_ns:
            return False
        self._embedding_ns = None
        return True

    def on_experience(self, stamp_next_ns: int) -> bool:
        """Records an experience of the learner; returns whether it is the awaited one."""
        step = self._step
        if step is None or step.closing_ns is None or stamp_next_ns < step.closing_ns:
            return False
        self._step = self._embedding_ns = None
        return True

    def restart_timeout(self, now: float) -> None:
        """Restarts the timeout; called while the learner sleeps."""
        self._since = now

    def expire(self, now: float) -> str:
        """Stops waiting after the timeout; returns the missing answer as text, or an empty text."""
        if not self.awaits_anything or now - self._since <= self._timeout:
            return ''
        is_image, self._embedding_ns = self._embedding_ns is not None, None
        if self.awaits_experience:
            self.unanswered += 1
            self._step = None
        what = 'embedding of an image' if is_image else 'experience after an action'
        return f'no {what} within {self._timeout:g} s'

    def finish(self) -> None:
        """Ends the session: an action without an image of its result counts as unanswered."""
        self.unanswered += self.is_open
        self._step = None
