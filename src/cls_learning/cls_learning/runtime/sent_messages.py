"""The last messages sent, within a number of messages and of bytes. Pure."""

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

M = TypeVar('M')


class SentMessages(Generic[M]):
    """Drops the oldest message where there are more than `capacity`, or where all together take more than `max_bytes`.

    Args:
        at_least: messages kept whatever they take, 1 or more: those that a receiver may still need.
    """

    def __init__(self, capacity: int, max_bytes: int, at_least: int) -> None:
        self._capacity, self._max_bytes, self._at_least = capacity, max_bytes, at_least
        self._kept: deque[tuple[int, M, int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of all messages kept."""
        return self._bytes

    @property
    def newest(self) -> M | None:
        """The message sent last; None where none is kept."""
        return self._kept[-1][1] if self._kept else None

    @property
    def sequences(self) -> tuple[int, int]:
        """Sequences of the oldest and the newest message kept; 0 where there is none."""
        return (self._kept[0][0], self._kept[-1][0]) if self._kept else (0, 0)

    def add(self, sequence: int, message: M, size: int) -> None:
        """Keeps a message of `size` bytes; sequences rise."""
        self._kept.append((sequence, message, size))
        self._bytes += size
        while len(self._kept) > self._capacity or (self._bytes > self._max_bytes and len(self._kept) > self._at_least):
            self._bytes -= self._kept.popleft()[2]

    def after(self, sequence: int, count: int, max_bytes: int) -> list[M]:
        """Returns the oldest messages after a sequence: at most `count`, and of more than one at most `max_bytes`."""
        found: list[M] = []
        total = 0
        for _, message, size in islice(((s, m, n) for s, m, n in self._kept if s > sequence), count):
            total += size
            if found and total > max_bytes:
                break
            found.append(message)
        return found

    def clear(self) -> None:
        """Drops everything."""
        self._kept.clear()
        self._bytes = 0
