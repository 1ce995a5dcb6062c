"""slow_learner's server of the Sleep action."""

import threading
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node

from cls_common import comms
from cls_common.errors import UserError
from cls_interfaces.action import Sleep

from ..brain import check_goal, Progress
from .jobs import SleepJob
from .sleep_messages import from_goal, to_result
from .slow_worker import SlowWorker

FEEDBACK_EVERY = 10


class SleepServer:
    """Accepts one goal at a time, passes it to the worker and waits for its end."""

    def __init__(self, node: Node, worker: SlowWorker, callback_group: Any) -> None:
        self._log = node.get_logger()
        self._worker = worker
        self._accepted = threading.Lock()
        self._server = ActionServer(
            node, Sleep, comms.SLEEP.name, self._sleep, callback_group=callback_group, goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT, result_timeout=900,
        )  # fmt: skip

    @property
    def is_busy(self) -> bool:
        """Whether an accepted goal has no result yet."""
        return self._accepted.locked()

    def _on_goal(self, _goal: Any) -> GoalResponse:
        if self._worker.is_ready and self._accepted.acquire(blocking=False):
            return GoalResponse.ACCEPT
        reason = 'asleep already' if self._worker.is_ready else 'fast_learner has no weights yet'
        self._log.warning(f'sleep goal rejected: {reason}', throttle_duration_sec=5.0)
        return GoalResponse.REJECT

    def _sleep(self, handle: Any) -> Sleep.Result:
        try:
            assert self._worker.session is not None
            try:
                goal = from_goal(handle.request)
                check_goal(goal, self._worker.session.phases)
            except UserError as error:
                handle.abort()
                return Sleep.Result(error_code=Sleep.Result.BAD_GOAL, error_msg=str(error))

            def feedback(progress: Progress) -> None:
                if progress.step % FEEDBACK_EVERY == 1 or progress.step == progress.steps:
                    handle.publish_feedback(Sleep.Feedback(**vars(progress)))

            job = SleepJob(goal, feedback, lambda: handle.is_cancel_requested)
            self._worker.put(job)
            if not self._worker.wait(job):
                job.message = str(self._worker.error or 'slow_learner ends')
            if job.code == Sleep.Result.NONE:
                handle.succeed()
            elif job.code == Sleep.Result.CANCELLED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return to_result(job)
        finally:
            self._accepted.release()
