"""Client of a service that repeats a request until it is answered."""

from collections.abc import Callable
import time
from typing import Any

from rclpy.client import Client


class RetryingClient:
    """Client of one service with one pending request at a time.

    Args:
        retry_after: s after which an unanswered request is sent again. A request to a server that ended is never
            answered, nor is one that a new server answers before it has discovered the client.
    """

    def __init__(self, client: Client, retry_after: float) -> None:
        self._client = client
        self._retry_after = retry_after
        self._future: Any = None
        self._number = -1
        self._sent = 0.0

    def request(self, message: Any, on_answer: Callable[[Any], None], number: int = 0) -> None:
        """Sends a request unless the same one is pending; one with another number replaces it."""
        now = time.monotonic()
        is_pending = self._future is not None and self._number == number
        if (is_pending and now - self._sent < self._retry_after) or not self._client.service_is_ready():
            return
        if self._future is not None:
            self._client.remove_pending_request(self._future)
        self._number, self._sent = number, now
        future = self._future = self._client.call_async(message)
        future.add_done_callback(lambda done: self._receive(done, on_answer))

    def _receive(self, done: Any, on_answer: Callable[[Any], None]) -> None:
        if done is self._future:
            self._future = None
            on_answer(done.result())
