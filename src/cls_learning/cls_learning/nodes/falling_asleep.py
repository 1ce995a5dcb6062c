"""How fast_learner asks for sleep after the last wake step of a cycle: as a person would, until somebody hears it."""

import time
from typing import Any, TYPE_CHECKING

from rclpy.action import ActionClient

from cls_common import comms
from cls_interfaces.action import Sleep

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

# A slow_learner that died is back and has relived its journal within this, s; then waking goes on all the same.
PATIENCE = 60.0
# A goal sent to a server that has just died is never answered.
_ASK_AGAIN = 2.0
# A night may lose its slow_learner so often before waking goes on without it.
_NIGHTS = 3


class FallingAsleep:
    """Wants sleep from the end of a cycle until a night has come and gone. Meanwhile no action goes out."""

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self._client = ActionClient(node, Sleep, comms.SLEEP.name)
        self._until = self._asked = 0.0
        self._nights = self._wishes = 0

    @property
    def is_wanted(self) -> bool:
        """Whether sleep is due and has not yet come; s of the steady clock decide when to give up."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Asks for sleep: the cycle is over (row 000-028), or weights came of which it was over."""
        self._until = time.monotonic() + PATIENCE
        self._nights = 0
        self._wishes += 1
        self._ask()
        self._node.publish_status()

    def lost(self) -> None:
        """Slow_learner went silent in a night: one that was due is slept again, a few times, when it is back."""
        self._nights += 1
        waking = self._node.waking
        if waking is not None and waking.should_sleep and self._nights < _NIGHTS:
            self._until = time.monotonic() + PATIENCE
            self._asked = time.monotonic()

    def end(self) -> None:
        """Sleep came and went, or nobody wants it any more."""
        self._until = 0.0

    def tick(self, now: float) -> None:
        """Asks again where no answer came; steady time in s."""
        if not self._until:
            return
        if now >= self._until:
            self.end()
            self._node.report_fault(f'no sleep within {PATIENCE:g} s: awake for another cycle')
        elif not self._node.services_of_sleep.lease.id and now - self._asked > _ASK_AGAIN:
            self._ask()

    def _ask(self) -> None:
        self._asked = time.monotonic()
        if not self._client.server_is_ready():
            self._node.report_fault('nobody to sleep with: waiting for slow_learner')
            return
        self._client.send_goal_async(Sleep.Goal()).add_done_callback(self._on_answer)

    def _on_answer(self, answer: Any) -> None:
        handle = answer.result()
        # One that was refused is asked again: another night is under way, or slow_learner is not ready yet.
        if handle is not None and handle.accepted:
            wish = self._wishes
            handle.get_result_async().add_done_callback(lambda result: self._on_result(wish, result))

    def _on_result(self, wish: int, result: Any) -> None:
        # Kept, cancelled by a person, or failed: a new day. One that was too slow to say it lives is slept again.
        # It comes after the save, perhaps when the next sleep is wanted already.
        answer = result.result()
        if wish == self._wishes and answer is not None and answer.result.error_code != Sleep.Result.LEASE_LOST:
            self.end()
