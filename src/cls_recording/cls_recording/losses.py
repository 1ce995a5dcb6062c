"""Counts what never arrived: by what the transport says, by numbers, by stamps. No ROS here."""

from collections import deque
from statistics import median
import struct

from . import peek

# A row of stamps has a rhythm when so many intervals are known: the one in the middle of the last ones.
_KNOWN, _RHYTHM = 15, 31
# From so many periods on it is no loss but an interruption: a camera that went away, a simulation that stood still.
_INTERRUPTION = 30
# Stamps at less than this share of the rhythm catch up with a delay and say nothing about it; so many in a row do.
_HURRIED, _NEW_RHYTHM = 0.3, 60
# A hole is filled when what follows came so much sooner, in periods; so many stamps after it, it stays one.
_FILLED, _CAUGHT_UP = 0.8, 5
_UNREADABLE = (struct.error, IndexError, UnicodeDecodeError)


class StampRow:
    """Holes in a row of stamps that should come at a steady rhythm.

    A stamp that is only late leaves a hole before it and shorter intervals after it, by which the hole is filled again.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=_RHYTHM)
        self._strange = self._since_hole = self._fillable = 0
        self._made_up = 0.0
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
        periods = interval / median(self._intervals)
        if _HURRIED < periods <= _INTERRUPTION:
            self._intervals.append(interval)
            self._strange = 0
        else:
            self._strange += 1
            if self._strange > _NEW_RHYTHM:
                self._intervals.clear()
                self._strange = 0
        if periods <= _INTERRUPTION:
            self._count(periods)

    def _count(self, periods: float) -> None:
        holes = max(round(periods) - 1, 0)
        self._made_up += holes + 1 - periods
        self._since_hole += 1
        if holes:
            self.missing += holes
            self._fillable += holes
            self._since_hole = 0
        elif self._fillable and self._made_up > _FILLED:
            self.missing -= 1
            self._fillable -= 1
            self._made_up -= 1.0
        if self._since_hole >= self._fillable + _CAUGHT_UP:
            self._fillable, self._made_up = 0, 0.0


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
