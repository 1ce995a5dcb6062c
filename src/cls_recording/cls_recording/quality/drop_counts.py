"""Counts messages that never arrived: by reports of the transport, sequence numbers and stamps. No ROS here."""

from collections import deque
from statistics import median
import struct

from .. import cdr_fields

# Intervals needed to know the period, and the number of latest ones whose median is the period.
_MIN_INTERVALS, _INTERVALS = 15, 31
# More periods than this are an interruption (a disconnected camera, a paused simulation), not losses.
_INTERRUPTION = 30
# Intervals below this share of the period are a publisher that catches up; this many in a row are a new period.
_CATCHING_UP, _NEW_PERIOD = 0.3, 60
# A gap is filled when later stamps came this much sooner, in periods; after this many stamps it counts as lost.
_FILLED, _CAUGHT_UP = 0.8, 5
_UNREADABLE = (struct.error, IndexError, UnicodeDecodeError)


class StampGaps:
    """Gaps in stamps that should have a constant period.

    A late stamp has a gap before it and shorter intervals after it; these fill the gap again.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._short = self._since_gap = self._fillable = 0
        self._ahead = 0.0
        self.missing = 0

    def add(self, stamp_ns: int) -> None:
        """Adds the next stamp; one that does not increase begins a new series."""
        last, self._last = self._last, stamp_ns
        if last is None or stamp_ns <= last:
            return
        interval = stamp_ns - last
        if len(self._intervals) < _MIN_INTERVALS:
            self._intervals.append(interval)
            return
        periods = interval / median(self._intervals)
        if _CATCHING_UP < periods <= _INTERRUPTION:
            self._intervals.append(interval)
            self._short = 0
        else:
            self._short += 1
            if self._short > _NEW_PERIOD:
                self._intervals.clear()
                self._short = 0
        if periods <= _INTERRUPTION:
            self._count(periods)

    def _count(self, periods: float) -> None:
        gaps = max(round(periods) - 1, 0)
        self._ahead += gaps + 1 - periods
        self._since_gap += 1
        if gaps:
            self.missing += gaps
            self._fillable += gaps
            self._since_gap = 0
        elif self._fillable and self._ahead > _FILLED:
            self.missing -= 1
            self._fillable -= 1
            self._ahead -= 1.0
        if self._since_gap >= self._fillable + _CAUGHT_UP:
            self._fillable, self._ahead = 0, 0.0


class SequenceGaps:
    """Gaps in sequence numbers, one sequence per key; a number that does not increase restarts its sequence."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.missing = 0

    def add(self, key: str, sequence: int) -> None:
        """Adds the next number."""
        last = self._last.get(key)
        self._last[key] = sequence
        if last is not None and sequence > last:
            self.missing += sequence - last - 1


class DropCounts:
    """Lost messages of all topics, and the number of actions carried out without error.

    A message that the transport reports as lost leaves a gap in the numbers too: the larger count per topic is used.

    Attributes:
        steps: applied actions without error so far.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._numbers: dict[str, SequenceGaps] = {}
        self._stamps: dict[str, StampGaps] = {}
        self._reported: dict[str, int] = {}

    def report(self, topic: str, count: int) -> None:
        """Adds messages of a topic that the transport reports as lost."""
        self._reported[topic] = self._reported.get(topic, 0) + count

    def add(self, topic: str, type_name: str, data: bytes) -> None:
        """Adds a message; types without sequence number and unreadable messages are ignored."""
        try:
            number = cdr_fields.read_sequence_number(type_name, data)
        except _UNREADABLE:
            return
        if number is None:
            return
        self._numbers.setdefault(topic, SequenceGaps()).add(number.key, number.sequence)
        if type_name == 'cls_interfaces/msg/AppliedAction' and number.error_code == 0:
            self.steps += 1

    def add_stamp(self, topic: str, stamp_ns: int) -> None:
        """Adds a stamp of a topic with a constant period."""
        self._stamps.setdefault(topic, StampGaps()).add(stamp_ns)

    @property
    def count(self) -> int:
        """Messages lost so far."""
        counts: list[dict[str, int]] = [
            dict(self._reported),
            {topic: row.missing for topic, row in list(self._numbers.items())},
            {topic: row.missing for topic, row in list(self._stamps.items())},
        ]
        topics = {topic for count in counts for topic in count}
        return sum(max(count.get(topic, 0) for count in counts) for topic in topics)
