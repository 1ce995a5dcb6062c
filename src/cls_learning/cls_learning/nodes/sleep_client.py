"""fast_learner's client of the Sleep action: at the end of a cycle it sends the goal that `./cls sleep` sends."""

import time
from typing import Any, TYPE_CHECKING

from rclpy.action import ActionClient

from cls_common import comms
from cls_interfaces.action import Sleep

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

# A slow_learner that died is back and has learned its journal again within this, s; then waking goes on without sleep.
PATIENCE = 60.0
# A goal sent to a server that has just died is never answered.
_RETRY_PERIOD = 2.0
# A sleep may lose its slow_learner so often before waking goes on without it.
_ATTEMPTS = 3


class SleepClient:
    """Requests sleep from the end of a cycle until one has ended. Meanwhile no action goes out."""

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self._client = ActionClient(node, Sleep, comms.SLEEP.name)
        self._until = self._requested = 0.0
        self._lost = self._requests = 0

    @property
    def is_wanted(self) -> bool:
        """Whether sleep is due and has not ended yet."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Requests sleep: the cycle is over, or weights were loaded at the end of a cycle."""
        self._until = time.monotonic() + PATIENCE
        self._lost = 0
        self._requests += 1
        self._request()
        self._node.status.publish()

    def lost(self) -> None:
        """Requests again a sleep that was due and whose lease ran out, a few times."""
        self._lost += 1
        learner = self._node.learner
        if learner is not None and learner.wants_sleep and self._lost < _ATTEMPTS:
            self._until = time.monotonic() + PATIENCE
            self._requested = time.monotonic()

    def end(self) -> None:
        """Stops requesting."""
        self._until = 0.0

    def tick(self, now: float) -> None:
        """Repeats a request that was not answered; steady time in s."""
        if not self._until:
            return
        if self._node.services_of_sleep.lease.id:
            # Under way, however long it takes: the lease ends a sleep whose slow_learner is gone.
            self._until = now + PATIENCE
        elif now >= self._until:
            self.end()
            self._node.status.report_fault(
                f'slow_learner began no sleep within {PATIENCE:g} s: awake for another cycle'
            )
        elif now - self._requested > _RETRY_PERIOD:
            self._request()

    def _request(self) -> None:
        self._requested = time.monotonic()
        if not self._client.server_is_ready():
            self._node.status.report_fault('sleep is due: waiting for slow_learner')
            return
        self._client.send_goal_async(Sleep.Goal()).add_done_callback(self._on_answer)

    def _on_answer(self, answer: Any) -> None:
        handle = answer.result()
        # A refused goal is sent again: another sleep is under way, or slow_learner is not ready yet.
        if handle is not None and handle.accepted:
            request = self._requests
            handle.get_result_async().add_done_callback(lambda result: self._on_result(request, result))

    def _on_result(self, request: int, result: Any) -> None:
        # Kept, cancelled by a person, or failed: awake again. A sleep whose lease ran out is requested again.
        # The result comes after the save, perhaps when the next sleep is due already.
        answer = result.result()
        if request == self._requests and answer is not None and answer.result.error_code != Sleep.Result.LEASE_LOST:
            self.end()
