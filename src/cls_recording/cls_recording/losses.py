"""Counts what never arrived: by what the transport says, by numbers, by stamps. No ROS here."""

from collections import deque
from statistics import median
import struct

from . import peek

# A row of stamps has a rhythm when so many intervals are known; it is theirs, in the middle.
_RHYTHM, _KNOWN = 15, 5
# From here on it is no loss but an interruption: a camera that went away, a simulation that stood still.
_INTERRUPTION = 30
# After so many in time, nothing comes late any more.
_CAUGHT_UP = 5
_UNREADABLE = (struct.error, IndexError, UnicodeDecodeError)


class StampRow:
    """Holes in a row of stamps that should come at a steady rhythm.

    A stamp that is only late leaves a hole before it and none after: the next ones come the sooner, and fill it.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=_RHYTHM)
        self._fillable = 0
        self._in_time = 0
        self.missing = 0

    def hear(self, stamp_ns: int) -> None:
        """Takes the next stamp; one that does not rise begins a new row."""
        last, self._last = self._last, stamp_ns
        if last is None or stamp_ns <= last:
            return
        interval = stamp_ns - last
        if len(self._intervals) < _KNOWN:
            self._intervals.append(interval)
            return
        periods = round(interval / median(self._intervals))
        if periods <= _INTERRUPTION:
            self._count(periods)
            self._intervals.append(interval // max(periods, 1))

    def _count(self, periods: int) -> None:
        if periods == 1:
            self._in_time += 1
            if self._in_time >= _CAUGHT_UP:
                self._fillable = 0
            return
        self._in_time = 0
        if periods > 1:
            self.missing += periods - 1
            self._fillable += periods - 1
        elif self._fillable:
            self.missing -= 1
            self._fillable -= 1


class NumberRow:
    """Holes in a row of sequence numbers, each row by its key; a number that does not rise begins anew."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.missing = 0

    def hear(self, key: str, sequence: int) -> None:
        """Takes the next number."""
        last = self._last.get(key)
        self._last[key] = sequence
        if last is not None and sequence > last:
            self.missing += sequence - last - 1


class Losses:
    """All that was lost of all topics, and the actions that were answered without error.

    A message that the transport reports as lost leaves a hole in its row too: of each topic the larger count holds.

    Attributes:
        steps: applied actions without error so far.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._numbers: dict[str, NumberRow] = {}
        self._stamps: dict[str, StampRow] = {}
        self._reported: dict[str, int] = {}

    def report(self, topic: str, count: int) -> None:
        """Takes what the transport says: so many more messages of a topic were lost."""
        self._reported[topic] = self._reported.get(topic, 0) + count

    def hear(self, topic: str, type_name: str, data: bytes) -> None:
        """Takes a message of a numbered type; others, and unreadable ones, change nothing."""
        try:
            numbered = peek.numbered(type_name, data)
        except _UNREADABLE:
            return
        if numbered is None:
            return
        self._numbers.setdefault(topic, NumberRow()).hear(numbered.key, numbered.sequence)
        if type_name == 'cls_interfaces/msg/AppliedAction' and numbered.error_code == 0:
            self.steps += 1

    def hear_stamp(self, topic: str, stamp_ns: int) -> None:
        """Takes a stamp of a topic that comes at a steady rhythm."""
        self._stamps.setdefault(topic, StampRow()).hear(stamp_ns)

    @property
    def count(self) -> int:
        """Messages lost so far."""
        rows: list[dict[str, int]] = [
            dict(self._reported),
            {topic: row.missing for topic, row in list(self._numbers.items())},
            {topic: row.missing for topic, row in list(self._stamps.items())},
        ]
        topics = {topic for row in rows for topic in row}
        return sum(max(row.get(topic, 0) for row in rows) for topic in topics)
