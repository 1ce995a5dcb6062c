"""Queue of a worker thread: experiences in order, and jobs between them. Pure."""

from collections import deque
import threading
from typing import Any, TypeVar

from cls_common.transition import Experience

CAPACITY = 10_000

T = TypeVar('T')


class JobQueue:
    """Passes experiences and jobs from callbacks to a worker, each kind in order.

    Attributes:
        dropped: experiences that found the queue full. Other jobs are never dropped, since a caller waits for each.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, job: Any) -> None:
        """Adds an experience or a job."""
        with self._changed:
            if isinstance(job, Experience) and len(self._waiting) >= self._capacity:
                self.dropped += 1
                return
            self._waiting.append(job)
            self._changed.notify()

    def take(self, kind: type[T], timeout: float = 0.0) -> T | None:
        """Removes and returns the oldest entry of a kind, waiting up to `timeout` s; None if there is none.

        Older entries of other kinds keep their place. Only one thread may call this.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._remove_oldest(kind), timeout)

    def _remove_oldest(self, kind: type[T]) -> T | None:
        for index, job in enumerate(self._waiting):
            if isinstance(job, kind):
                del self._waiting[index]
                return job
        return None
