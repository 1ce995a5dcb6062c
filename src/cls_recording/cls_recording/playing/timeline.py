"""A session as a learner lived it: messages by the time of what they show, not by the moment they were written."""

from collections.abc import Collection, Iterable, Iterator
import heapq

from cls_common import comms

from .items import Break, Item

# Messages of different topics are recorded out of order by at most this; embeddings come late where an encoder is slow.
WINDOW_NS = 1_000_000_000
# A topic's stamp that goes back by more than this is another time: a world that began anew, a clock that was set.
JUMP_NS = 1_000_000_000


class Timeline:
    """Brings a session's messages into order: all of one stamp before the next, an action after what precedes its end.

    Messages that say word for word what their topic said last are left out: a lock-step simulator repeats its image,
    a split of a bag its latched topics.

    Args:
        items: in the order of log time; a Break begins a new chain.
        senses: topics that a learner closes its steps by; of one stamp they come last.
        info: description of the robot that holds at the start, CDR.
    """

    def __init__(self, items: Iterable[Item | Break], senses: Collection[str], info: bytes) -> None:
        self._items = items
        self._senses = frozenset(senses)
        self._said: dict[str, bytes] = {comms.ROBOT_INFO.name: info}
        self._stamps: dict[str, int] = {}
        self._newest = -1
        # (stamp, rank within it, count) and the message.
        self._waiting: list[tuple[tuple[int, int, int], Item]] = []
        self._count = 0
        self._due = 0

    def __iter__(self) -> Iterator[Item | Break]:
        """Yields messages, their log times made to rise, with a Break where the chain ends."""
        for item in self._items:
            if isinstance(item, Break):
                yield from self._begin_anew(item)
                continue
            if self._said.get(item.topic) == item.data:
                continue
            self._said[item.topic] = item.data
            if item.topic == comms.ROBOT_INFO.name:
                yield from self._begin_anew(Break(item.log_ns, item.data))
                continue
            if item.stamp_ns is not None and item.stamp_ns < self._stamps.get(item.topic, item.stamp_ns) - JUMP_NS:
                yield from self._begin_anew(Break(item.log_ns))
            self._wait(item)
            yield from self._release(item.log_ns - WINDOW_NS)
        yield from self._release(None)

    def _begin_anew(self, cut: Break) -> Iterator[Item | Break]:
        yield from self._release(None)
        self._stamps.clear()
        self._newest = -1
        self._due = max(self._due, cut.log_ns)
        yield Break(self._due, cut.info)

    def _wait(self, item: Item) -> None:
        if item.stamp_ns is not None:
            self._stamps[item.topic] = item.stamp_ns
            self._newest = max(self._newest, item.stamp_ns)
        rank = 2 if item.motion else 1 if item.topic in self._senses else 0
        order = (self._newest if item.stamp_ns is None else item.stamp_ns, rank, self._count)
        self._count += 1
        heapq.heappush(self._waiting, (order, item))

    def _release(self, until_ns: int | None) -> Iterator[Item]:
        """Yields what nothing can precede any more: recorded by this time, or all."""
        while self._waiting and (until_ns is None or self._waiting[0][1].log_ns <= until_ns):
            item = heapq.heappop(self._waiting)[1]
            self._due = max(self._due, item.log_ns)
            yield Item(item.topic, item.type, self._due, item.stamp_ns, item.data, item.motion)
