"""A goal of the Sleep action, from its request to its result."""

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node

from cls_common import comms
from cls_common.errors import UserError
from cls_interfaces.action import Sleep

from .service_calls import DISCOVERY, finished, missing, wait_until

_ANSWER_TIMEOUT = 5.0


class SleepGoal:
    """A Sleep goal that slow_learner has accepted.

    Args:
        steps: by phase; 0 or missing: as configured, -1: skip the phase.
        on_feedback: called with each Sleep feedback, from another thread.

    Raises:
        UserError: no server, or the goal is rejected.
    """

    def __init__(self, node: Node, steps: Mapping[str, int], on_feedback: Callable[[Any], None]) -> None:
        self._client = ActionClient(node, Sleep, comms.SLEEP.name)
        if not wait_until(self._client.server_is_ready, DISCOVERY):
            raise missing(comms.SLEEP)
        goal = Sleep.Goal(phases=list(steps), steps=list(steps.values()))
        sent = self._client.send_goal_async(goal, feedback_callback=lambda message: on_feedback(message.feedback))
        if not finished(sent, _ANSWER_TIMEOUT):
            raise UserError('the sleep goal was not answered', do='See the log of slow_learner.')
        self._handle = sent.result()
        if not self._handle.accepted:
            raise UserError('the sleep goal was rejected', do='It sleeps already, or has no weights yet.')
        self._result = self._handle.get_result_async()

    def wait(self, timeout: float) -> Any | None:
        """Returns the Sleep result, or None if there is none within `timeout` s."""
        return self._result.result().result if finished(self._result, timeout) else None

    @property
    def is_served(self) -> bool:
        """Whether the server is present; one that was killed stays discovered for 20 s."""
        return bool(self._client.server_is_ready())

    def cancel(self) -> None:
        """Requests cancellation; the result still follows."""
        self._handle.cancel_goal_async()
