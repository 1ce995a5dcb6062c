"""Buffer of the last messages sent, with limits of messages and bytes. No ROS."""

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

M = TypeVar('M')


class SentMessages(Generic[M]):
    """Removes the oldest messages beyond `capacity` messages or `max_bytes` bytes.

    Args:
        at_least: number of messages that are kept whatever their size, 1 or more.
    """

    def __init__(self, capacity: int, max_bytes: int, at_least: int) -> None:
        self._capacity, self._max_bytes, self._at_least = capacity, max_bytes, at_least
        self._kept: deque[tuple[int, M, int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Size of all messages, bytes."""
        return self._bytes

    @property
    def newest(self) -> M | None:
        """The last message, None in an empty buffer."""
        return self._kept[-1][1] if self._kept else None

    @property
    def sequences(self) -> tuple[int, int]:
        """Sequences of the oldest and the newest message, 0 in an empty buffer."""
        return (self._kept[0][0], self._kept[-1][0]) if self._kept else (0, 0)

    def add(self, sequence: int, message: M, size: int) -> None:
        """Adds a message of `size` bytes, with a higher sequence than the last."""
        self._kept.append((sequence, message, size))
        self._bytes += size
        while len(self._kept) > self._capacity or (self._bytes > self._max_bytes and len(self._kept) > self._at_least):
            self._bytes -= self._kept.popleft()[2]

    def after(self, sequence: int, count: int, max_bytes: int) -> list[M]:
        """Returns the oldest messages after a sequence: `count` at most, and `max_bytes` at most if more than one."""
        found: list[M] = []
        total = 0
        for _, message, size in islice(((s, m, n) for s, m, n in self._kept if s > sequence), count):
            total += size
            if found and total > max_bytes:
                break
            found.append(message)
        return found

    def clear(self) -> None:
        """Removes all messages."""
        self._kept.clear()
        self._bytes = 0
