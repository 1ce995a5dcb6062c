"""Queue of messages for the disk: bounded by number and by bytes; dropped messages are counted. No ROS here."""

from collections import deque
from dataclasses import dataclass
import threading

from .metadata import TopicEntry

# Above this share of its limits the writing thread is woken; below it writes once a period, which costs least.
_URGENT = 0.1


@dataclass(frozen=True)
class ReceivedMessage:
    """One received message: topic, log time (ns, wall clock), content (CDR).

    Attributes:
        latched: transient local. steady: its stamps should have a constant period.
    """

    topic: TopicEntry
    log_time: int
    data: bytes
    latched: bool = False
    steady: bool = False


class MessageQueue:
    """First in, first out, between the receiving and the writing thread.

    Attributes:
        dropped: messages refused because the queue was full.
        accepted, accepted_bytes: all messages queued so far, and the bytes of their contents.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._messages: deque[ReceivedMessage] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._bytes = 0
        self.dropped = self.accepted = self.accepted_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: ReceivedMessage) -> bool:
        """Appends a message; returns whether there was room."""
        with self._changed:
            size = len(message.data)
            if self._is_closed:
                return False
            if len(self._messages) >= self._max_messages or self._bytes + size > self._max_bytes:
                self.dropped += 1
                return False
            self._messages.append(message)
            self._bytes += size
            self.accepted += 1
            self.accepted_bytes += size
            if self._is_urgent():
                self._changed.notify_all()
            return True

    def _is_urgent(self) -> bool:
        share = max(len(self._messages) / self._max_messages, self._bytes / self._max_bytes)
        return self._is_closed or share > _URGENT

    def take(self, timeout: float) -> list[ReceivedMessage]:
        """Returns the queued messages after `timeout` s, or sooner if the queue is filling or was closed."""
        with self._changed:
            self._changed.wait_for(self._is_urgent, timeout)
            taken = list(self._messages)
            self._messages.clear()
            self._bytes = 0
            return taken

    def close(self) -> None:
        """Refuses further messages; queued ones can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed
