"""A question to another node, asked again until it is answered."""

from collections.abc import Callable
import time
from typing import Any

from rclpy.client import Client


class Asking:
    """Asks one service, with one question under way at a time.

    Args:
        again: s after which an unanswered question is asked again. One to a server that died is never answered, nor
            is one that a young server answers before it knows of the client.
    """

    def __init__(self, client: Client, again: float) -> None:
        self._client = client
        self._again = again
        self._future: Any = None
        self._number = -1
        self._asked = 0.0

    def ask(self, request: Any, on_answer: Callable[[Any], None], number: int = 0) -> None:
        """Asks, unless the same question is under way; a question of another number takes its place."""
        now = time.monotonic()
        is_under_way = self._future is not None and self._number == number
        if (is_under_way and now - self._asked < self._again) or not self._client.service_is_ready():
            return
        if self._future is not None:
            self._client.remove_pending_request(self._future)
        self._number, self._asked = number, now
        future = self._future = self._client.call_async(request)
        future.add_done_callback(lambda answered: self._hear(answered, on_answer))

    def _hear(self, answered: Any, on_answer: Callable[[Any], None]) -> None:
        if answered is self._future:
            self._future = None
            on_answer(answered.result())
