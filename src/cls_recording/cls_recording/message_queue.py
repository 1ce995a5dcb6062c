"""Where messages wait for the disk: bounded by number and by bytes, and what finds it full is counted. No ROS here."""

from collections import deque
from dataclasses import dataclass
import threading

from .metadata import TopicEntry

# So full, the writing thread is woken; else it writes in its own rhythm, which costs least.
_URGENT = 0.1


@dataclass(frozen=True)
class Received:
    """One message as it came: topic, when (ns, wall clock), content (CDR).

    Attributes:
        latched: a late joiner would get it too. steady: its stamps should come at a steady rhythm.
    """

    topic: TopicEntry
    log_time: int
    data: bytes
    latched: bool = False
    steady: bool = False


class MessageQueue:
    """First in, first out, between the thread that hears and the one that writes.

    Attributes:
        dropped: messages that found it full.
        accepted, accepted_bytes: all messages taken in so far, and the bytes of their contents.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._messages: deque[Received] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._bytes = 0
        self.dropped = self.accepted = self.accepted_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Received) -> bool:
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

    def take(self, timeout: float) -> list[Received]:
        """Returns what waits, after `timeout` s, or sooner where much waits or it was closed."""
        with self._changed:
            self._changed.wait_for(self._is_urgent, timeout)
            taken = list(self._messages)
            self._messages.clear()
            self._bytes = 0
            return taken

    def close(self) -> None:
        """Takes no more; what waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more."""
        return self._is_closed
