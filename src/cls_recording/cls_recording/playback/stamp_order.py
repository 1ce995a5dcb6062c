"""Orders a session's messages by the time of their content instead of the time of writing."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
import heapq

from cls_common import comms

from .items import Boundary, Item

# Messages of different topics are recorded out of order by at most this; embeddings of a slow encoder come late.
WINDOW_NS = 1_000_000_000
# A topic's stamp that decreases by more than this means a restarted simulation or a clock that was set.
JUMP_NS = 1_000_000_000
# Images that a lock-step simulator repeats at most: before the last action, after it, and of the next episode.
_REPEATED = 3


class StampOrder:
    """Orders a session's messages: all of one stamp before the next, an action after all messages up to its end.

    Messages equal to one of the last of their topic are left out: a lock-step simulator repeats its images, each file
    of a bag its latched topics.

    Args:
        items: in the order of log time.
        senses: topics that complete a learner's steps; of one stamp they come last.
        info: description of the robot that holds at the start, CDR.
    """

    def __init__(self, items: Iterable[Item | Boundary], senses: Collection[str], info: bytes) -> None:
        self._items = items
        self._senses = frozenset(senses)
        self._last_data: dict[str, deque[bytes]] = {comms.ROBOT_INFO.name: deque([info], _REPEATED)}
        self._stamps: dict[str, int] = {}
        self._newest = -1
        # (stamp, rank within it, count) and the message.
        self._waiting: list[tuple[tuple[int, int, int], Item]] = []
        self._count = 0
        self._due = 0

    def __iter__(self) -> Iterator[Item | Boundary]:
        """Yields messages, their log times made monotonic, with a Boundary where stamps do not continue."""
        for item in self._items:
            if isinstance(item, Boundary):
                yield from self._begin_segment(item)
                continue
            if self._is_repeated(item):
                continue
            if item.topic == comms.ROBOT_INFO.name:
                yield from self._begin_segment(Boundary(item.log_ns, item.data))
                continue
            if item.stamp_ns is not None and item.stamp_ns < self._stamps.get(item.topic, item.stamp_ns) - JUMP_NS:
                yield from self._begin_segment(Boundary(item.log_ns))
            self._wait(item)
            yield from self._release(item.log_ns - WINDOW_NS)
        yield from self._release(None)

    def _is_repeated(self, item: Item) -> bool:
        known = self._last_data.setdefault(item.topic, deque(maxlen=_REPEATED))
        # A state without a stamp may return to what it was before.
        is_repeated = item.data in (known if item.stamp_ns is not None else list(known)[-1:])
        if not is_repeated:
            known.append(item.data)
        return is_repeated

    def _begin_segment(self, boundary: Boundary) -> Iterator[Item | Boundary]:
        yield from self._release(None)
        self._stamps.clear()
        self._newest = -1
        self._due = max(self._due, boundary.log_ns)
        yield Boundary(self._due, boundary.info)

    def _wait(self, item: Item) -> None:
        if item.stamp_ns is not None:
            self._stamps[item.topic] = item.stamp_ns
            self._newest = max(self._newest, item.stamp_ns)
        rank = 2 if item.action else 1 if item.topic in self._senses else 0
        order = (self._newest if item.stamp_ns is None else item.stamp_ns, rank, self._count)
        self._count += 1
        heapq.heappush(self._waiting, (order, item))

    def _release(self, until_ns: int | None) -> Iterator[Item]:
        """Yields the messages that no later one can precede: recorded by this time, or all."""
        while self._waiting and (until_ns is None or self._waiting[0][1].log_ns <= until_ns):
            item = heapq.heappop(self._waiting)[1]
            self._due = max(self._due, item.log_ns)
            yield Item(item.topic, item.type, self._due, item.stamp_ns, item.data, item.action)
