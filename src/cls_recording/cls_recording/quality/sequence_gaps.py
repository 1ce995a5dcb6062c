"""Finds gaps in a session: images, sequence numbers, clocks, connections, learner runs. No ROS here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cls_common import comms

from .. import cdr_fields
from ..reader import RawEvent
from .drop_counts import SequenceGaps
from .image_check import CAMERAS

# Stamped when they are produced, so that the stamp keeps up with the log time.
STAMPED = (*CAMERAS, comms.JOINT_STATES.name)
_STATES = {2: 'stopped', 3: 'fault'}
# Smaller differences are scheduling delays.
_JUMP_NS = 1_000_000_000
# A recorder writes in the order of its clock, except for threads that wait for each other.
_DISORDER_NS = 100_000_000
# Statuses are published twice a second: such a silence is a stalled recorder or machine.
_SILENCE_NS = 5_000_000_000


@dataclass
class Gaps:
    """Gaps of a session.

    Attributes:
        dropped_frames: images missing by the stamps of the camera's images.
        frames: images that were recorded.
        clock_jumps: stamps or log times that decreased, or jumped by more than a second against the other clock.
        silences: intervals of more than five seconds in which nothing was recorded.
        reconnects: robot/info published again, as by a restarted driver.
        faults: of robot/state, by text.
        restarts: changes of the learner's run id.
        missing_actions, missing_experiences: by gaps in their sequence numbers.
    """

    dropped_frames: int = 0
    frames: int = 0
    clock_jumps: int = 0
    silences: int = 0
    reconnects: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    missing_actions: int = 0
    missing_experiences: int = 0


class GapCounter:
    """Finds the gaps in a session's messages, which are added in the order in which they were written."""

    def __init__(self, lock_step: bool) -> None:
        # In lock-step an image follows each action: there is no period, and time stands still between.
        self._lock_step = lock_step
        self._gaps = Gaps()
        self._last_time = 0
        self._clocks: dict[str, tuple[int, int]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()
        self._numbers = {comms.APPLIED_ACTION.name: SequenceGaps(), comms.EXPERIENCE.name: SequenceGaps()}
        self._robot: Any = None
        self._state = 0
        self._run_id = ''

    def add_message(self, event: RawEvent) -> None:
        """Adds the next message of any topic; only its stamp or sequence number is read."""
        if self._last_time:
            if event.time_ns < self._last_time - _DISORDER_NS:
                # The recorder's clock was set back: restart the comparison with the stamps.
                self._gaps.clock_jumps += 1
                self._clocks.clear()
            self._gaps.silences += event.time_ns - self._last_time > _SILENCE_NS
        self._last_time = event.time_ns
        if event.topic in STAMPED and not self._lock_step:
            self._add_stamp(event.topic, cdr_fields.stamp(event.data), event.time_ns)
        self._counts[event.topic] += 1
        if event.topic in self._numbers and (place := cdr_fields.read_sequence_number(event.type, event.data)):
            self._numbers[event.topic].add(place.key, place.sequence)
            if event.topic == comms.EXPERIENCE.name:
                self._gaps.restarts += bool(self._run_id) and place.key != self._run_id
                self._run_id = place.key

    def add_robot_info(self, message: Any) -> None:
        """Adds the next robot/info, decoded. A recorder repeats it unchanged at the start of each file."""
        description = (message.name, message.channels, list(message.modalities), list(message.joint_names))
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        self._gaps.reconnects += self._robot is not None and (description, stamp) != self._robot
        self._robot = (description, stamp)

    def add_robot_state(self, message: Any) -> None:
        """Adds the next robot/state, decoded."""
        if message.state != self._state and message.state in _STATES:
            text = message.error_msg or _STATES[message.state]
            self._gaps.faults[text] = self._gaps.faults.get(text, 0) + 1
        self._state = message.state

    def finish(self) -> Gaps:
        """Returns the gaps."""
        gaps = self._gaps
        gaps.dropped_frames = max(map(count_missing, self._stamps.values()), default=0)
        gaps.frames = max((self._counts[topic] for topic in CAMERAS), default=0)
        gaps.missing_actions = self._numbers[comms.APPLIED_ACTION.name].missing
        gaps.missing_experiences = self._numbers[comms.EXPERIENCE.name].missing
        return gaps

    def _add_stamp(self, topic: str, stamp: int, time_ns: int) -> None:
        last = self._clocks.get(topic)
        self._clocks[topic] = (stamp, time_ns)
        if last is not None:
            drift = (stamp - last[0]) - (time_ns - last[1])
            self._gaps.clock_jumps += stamp < last[0] or abs(drift) > _JUMP_NS
        if topic in CAMERAS:
            self._stamps.setdefault(topic, []).append(stamp)


def count_missing(stamps: Sequence[int]) -> int:
    """Returns how many stamps are missing from a series with a constant period, the median of its intervals.

    A delayed publisher catches up: a stamp within half a period of the one before fills a gap. A gap of more than five
    seconds is a disconnected camera, not lost images, and is not counted.

    Args:
        stamps: ns.
    """
    intervals = np.diff(np.asarray(stamps, np.int64))
    rising = intervals[intervals > 0]
    if not rising.size:
        return 0
    missing = gap = 0
    for periods in rising[rising <= _SILENCE_NS] / float(np.median(rising)):
        if periods < 0.5:
            gap = max(gap - 1, 0)
            continue
        missing += gap
        gap = round(periods) - 1
    return missing + gap
