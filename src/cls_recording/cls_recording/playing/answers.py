"""What a replay waits for: that the learner lived the step that went out, and that the encoder saw the image."""

from dataclasses import dataclass

from .items import Motion


@dataclass
class _Step:
    """An action that went out, the stamp after which an image shows its result, and the stamp of that image, ns."""

    settled_ns: float
    ends_episode: bool
    closing_ns: int | None = None


class Answers:
    """One outstanding step at a time: an action, the image that shows its result, the experience made of both.

    The rules by which a learner pairs them are those of its contract (docs/graph.md): z is the newest image up to the
    action's start, z_next the first one after its end and settle time.

    Attributes:
        unanswered: actions after which no experience was heard in time, or that can't have any.
    """

    def __init__(self, timeout: float) -> None:
        self.unanswered = 0
        self._timeout = timeout
        self._step: _Step | None = None
        self._embedding_ns: int | None = None
        self._since = 0.0
        # Stamps, ns: the first image since the chain began, and the one that closed the last step.
        self._first_ns: int | None = None
        self._closed_ns = -1

    @property
    def is_open(self) -> bool:
        """Whether an action went out and the image of its result did not yet."""
        return self._step is not None and self._step.closing_ns is None

    @property
    def awaits_experience(self) -> bool:
        """Whether everything went out that the learner needs for an experience."""
        return self._step is not None and self._step.closing_ns is not None

    @property
    def awaits_anything(self) -> bool:
        """Whether nothing may go out until an answer came."""
        return self.awaits_experience or self._embedding_ns is not None

    def jump(self) -> None:
        """A new chain begins: nobody can answer what went out before."""
        self._step = self._embedding_ns = self._first_ns = None
        self._closed_ns = -1

    def act(self, motion: Motion, settle_time: float) -> None:
        """An action went out."""
        if motion.is_refused:
            # A learner breaks its chain there.
            self.unanswered += self._step is not None
            self._step = None
            return
        self.unanswered += self._step is not None
        self._step = None
        if self._first_ns is None or self._first_ns > motion.start_ns or motion.start_ns < self._closed_ns:
            self.unanswered += 1
            return
        # In floats as the learner reckons, so that both agree to the last bit.
        self._step = _Step(motion.end_ns + settle_time * 1e9, motion.ends_episode)

    def show(self, stamp_ns: int, now: float, *, is_embedded_elsewhere: bool) -> None:
        """An image, observation or embedding went out; steady time in s.

        Args:
            is_embedded_elsewhere: an encoder has still to make an embedding of it.
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
            # What closed an episode is not what the next one starts from.
            self._first_ns = None

    def hear_embedding(self, stamp_ns: int) -> bool:
        """The encoder said one; returns whether it is the one awaited."""
        if self._embedding_ns is None or stamp_ns < self._embedding_ns:
            return False
        self._embedding_ns = None
        return True

    def hear_experience(self, stamp_next_ns: int) -> bool:
        """The learner said one; returns whether it is the one awaited."""
        step = self._step
        if step is None or step.closing_ns is None or stamp_next_ns < step.closing_ns:
            return False
        self._step = self._embedding_ns = None
        return True

    def prolong(self, now: float) -> None:
        """Time does not count: the learner sleeps."""
        self._since = now

    def expire(self, now: float) -> str:
        """Gives up what was not answered in time; returns what that was, for people, or nothing."""
        if not self.awaits_anything or now - self._since <= self._timeout:
            return ''
        is_image, self._embedding_ns = self._embedding_ns is not None, None
        if self.awaits_experience:
            self.unanswered += 1
            self._step = None
        what = 'embedding of an image' if is_image else 'experience after an action'
        return f'no {what} within {self._timeout:g} s'

    def end(self) -> None:
        """Nothing more comes: an action whose result was never shown stays without an answer."""
        self.unanswered += self.is_open
        self._step = None
