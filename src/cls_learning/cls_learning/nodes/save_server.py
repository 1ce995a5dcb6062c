"""slow_learner's server of save_model."""

import threading
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms

from .jobs import SaveJob
from .sleep_server import SleepServer
from .slow_worker import SlowWorker


class SaveServer:
    """Passes saves to the worker, except during sleep, and waits for their end."""

    def __init__(self, node: Node, worker: SlowWorker, sleeps: SleepServer, callback_group: Any) -> None:
        self._worker = worker
        self._sleeps = sleeps
        self._lock = threading.Lock()
        self._job: SaveJob | None = None
        # Two waiting callbacks at most: with every thread waiting, none would receive what they wait for.
        self._waiting = threading.Semaphore(2)
        node.create_service(Trigger, comms.SAVE_MODEL.name, self._save, callback_group=callback_group)

    def _save(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        if not self._worker.is_ready or self._sleeps.is_busy:
            response.message = f'not now: {self._worker.status.progress.phase}'
            return response
        if not self._waiting.acquire(blocking=False):
            response.message = 'not now: a save is under way'
            return response
        try:
            job = self._pending_job()
            self._worker.wait(job)
        finally:
            self._waiting.release()
        response.success, response.message = job.success, job.message
        return response

    def _pending_job(self) -> SaveJob:
        """Returns the save under way, or begins one: repeated requests get the answer of one save."""
        with self._lock:
            if self._job is None or self._job.done.is_set():
                self._job = SaveJob()
                self._worker.put(self._job)
            return self._job
