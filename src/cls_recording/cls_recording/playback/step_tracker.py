"""Tracks the answers that a replay waits for: the learner's experience and the encoder's embedding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_common.step_builder import Applied, StepBuilder
from cls_common.transition import CAMERA, EMBEDDING, Reading, Transition

from .items import RecordedAction

_NUMBERS, _ANGLES = np.zeros(0, np.float32), np.zeros(0)
# Only stamps matter here; the shape decides how many readings are remembered, of images fewer than of vectors.
_IMAGE = np.zeros((0, 0, 3), np.uint8)


class StepTracker:
    """Tracks one step at a time: an action, the observation of its result, the experience made from both.

    The learner's own rule (`cls_common.step_builder`) is applied to the stamps of what was published.

    Args:
        timeout: for an answer, s.
        senses: names of the readings that make an observation of the learner.

    Attributes:
        unanswered: number of actions without an experience in time, or that can't have one.
    """

    def __init__(self, timeout: float, senses: tuple[str, ...] = (EMBEDDING,)) -> None:
        self.unanswered = 0
        self._timeout = timeout
        self._steps = StepBuilder(senses)
        # Stamps, ns: of the observation that completed the step, and of the image that an encoder has yet to embed.
        self._closing_ns: int | None = None
        self._embedding_ns: int | None = None
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether an action was published and the observation of its result was not yet, or not whole."""
        return self._steps.is_open

    @property
    def awaits_experience(self) -> bool:
        """Whether the learner has all that it needs for an experience."""
        return self._closing_ns is not None

    @property
    def awaits_anything(self) -> bool:
        """Whether publishing has to wait for an answer."""
        return self.awaits_experience or self._embedding_ns is not None

    def reset(self) -> None:
        """Discards the open step and all observations; called at a boundary."""
        self._closing_ns = self._embedding_ns = None
        self._steps.reset()

    def on_action(
        self, action: RecordedAction, settle_time: float, *, lock_step: bool = False, now: float = 0.0
    ) -> None:
        """Records a published action; settle time and steady time in s."""
        is_lost = self.awaits_experience or (self.is_open and not self._steps.awaits(action.key))
        self.unanswered += is_lost
        self._closing_ns = None
        if action.is_refused:
            # A learner marks a boundary here.
            self._steps.break_chain()
            return
        self._steps.settle_time, self._steps.lock_step = settle_time, lock_step
        self._since = max(self._since, now)
        self._on_transition(self._steps.add_applied_action(action.key, _applied(action), now))
        self.unanswered += not (self.is_open or self.awaits_experience)

    def on_observation(self, stamp_ns: int, now: float, *, is_embedded_elsewhere: bool, sense: str = EMBEDDING) -> None:
        """Records a published reading; steady time in s.

        Args:
            is_embedded_elsewhere: it is an image or a vector that an encoder has yet to embed.
            sense: name of the reading that the learner gets.
        """
        self._since = now
        if is_embedded_elsewhere:
            self._embedding_ns = stamp_ns
        data: NDArray[Any] = _IMAGE if sense == CAMERA else _NUMBERS
        self._on_transition(self._steps.add_reading(sense, Reading(data, stamp_ns)))

    def _on_transition(self, transition: Transition | None) -> None:
        if transition is not None:
            self._closing_ns = transition.stamp_next

    def on_embedding(self, stamp_ns: int) -> bool:
        """Records an embedding of the encoder; returns whether it is the awaited one."""
        if self._embedding_ns is None or stamp_ns < self._embedding_ns:
            return False
        self._embedding_ns = None
        return True

    def on_experience(self, stamp_next_ns: int) -> bool:
        """Records an experience of the learner, by the stamp of its newest reading; returns whether it is awaited."""
        if self._closing_ns is None or stamp_next_ns < self._closing_ns:
            return False
        self._closing_ns = self._embedding_ns = None
        return True

    def restart_timeout(self, now: float) -> None:
        """Restarts the timeout; called while the learner sleeps."""
        self._since = now

    def expire(self, now: float) -> str:
        """Stops waiting after the timeout; returns the missing answer as text, or an empty text."""
        if not self.awaits_anything or now - self._since <= self._timeout:
            return ''
        is_image, self._embedding_ns = self._embedding_ns is not None, None
        self.unanswered += self.awaits_experience
        self._closing_ns = None
        what = 'embedding of an image' if is_image else 'experience after an action'
        return f'no {what} within {self._timeout:g} s'

    def finish(self) -> None:
        """Ends the session: an action without an observation of its result counts as unanswered."""
        self.unanswered += self.is_open
        self._closing_ns = None
        self._steps.break_chain()


def _applied(action: RecordedAction) -> Applied:
    return Applied(
        commanded=_NUMBERS, applied=_NUMBERS, joints_before=_ANGLES, joints_after=_ANGLES, start=action.start_ns,
        end=action.end_ns, reward=float('nan'), terminal=action.ends_episode, truncated=False,
    )  # fmt: skip
