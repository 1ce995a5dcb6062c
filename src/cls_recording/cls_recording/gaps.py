"""Where a recording has holes: images, numbers, clocks, links and lives. No ROS here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cls_common import comms

from . import peek
from .image_check import CAMERAS
from .losses import NumberRow
from .reader import RawEvent

# Their stamp is taken when they are made, so it keeps up with the log time.
STAMPED = (*CAMERAS, comms.JOINT_STATES.name)
_STATES = {2: 'stopped', 3: 'fault'}
# Less is a busy machine. A step of a learner, a servo or a camera takes far less.
_LEAP_NS = 1_000_000_000
# A recorder writes in the order of its clock, but for the threads that wait for each other.
_DISORDER_NS = 100_000_000
# Statuses come twice a second: so much silence is a recorder or a machine that stood still.
_SILENCE_NS = 5_000_000_000


@dataclass
class Gaps:
    """What a session lacks.

    Attributes:
        dropped_frames: holes in the stamps of the camera's images, counted in images.
        frames: images that are there.
        clock_jumps: stamps or log times that went back, or leapt by more than a second against the other clock.
        silences: times of more than five seconds in which nothing was recorded.
        reconnects: robot/info said again, as by a driver that starts anew.
        faults: robot/state's, by its text.
        lives: changes of the learner's run id.
        missing_actions, missing_experiences: holes in their numbers.
    """

    dropped_frames: int = 0
    frames: int = 0
    clock_jumps: int = 0
    silences: int = 0
    reconnects: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    lives: int = 0
    missing_actions: int = 0
    missing_experiences: int = 0


class GapFinder:
    """Looks at a session's messages in the order in which they were written and notes where something is missing."""

    def __init__(self, lock_step: bool) -> None:
        # In lock-step an image comes when the robot acted: there is no rhythm to fall out of, and time stands still.
        self._lock_step = lock_step
        self._gaps = Gaps()
        self._last_time = 0
        self._clocks: dict[str, tuple[int, int]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._seen: Counter[str] = Counter()
        self._numbers = {comms.APPLIED_ACTION.name: NumberRow(), comms.EXPERIENCE.name: NumberRow()}
        self._robot: Any = None
        self._state = 0
        self._run_id = ''

    def see_raw(self, event: RawEvent) -> None:
        """Takes the next message of any topic as written; nothing of it but its stamp or number is read."""
        if self._last_time:
            if event.time_ns < self._last_time - _DISORDER_NS:
                # The recorder's clock was set back: restart the comparison with the stamps.
                self._gaps.clock_jumps += 1
                self._clocks.clear()
            self._gaps.silences += event.time_ns - self._last_time > _SILENCE_NS
        self._last_time = event.time_ns
        if event.topic in STAMPED and not self._lock_step:
            self._see_stamp(event.topic, peek.stamp(event.data), event.time_ns)
        self._seen[event.topic] += 1
        if event.topic in self._numbers and (place := peek.numbered(event.type, event.data)):
            self._numbers[event.topic].hear(place.key, place.sequence)
            if event.topic == comms.EXPERIENCE.name:
                self._gaps.lives += bool(self._run_id) and place.key != self._run_id
                self._run_id = place.key

    def see_robot(self, message: Any) -> None:
        """Takes the next robot/info, decoded. A recorder may repeat it, word for word, with each file."""
        said = (message.name, message.channels, list(message.modalities), list(message.joint_names))
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        self._gaps.reconnects += self._robot is not None and (said, stamp) != self._robot
        self._robot = (said, stamp)

    def see_state(self, message: Any) -> None:
        """Takes the next robot/state, decoded."""
        if message.state != self._state and message.state in _STATES:
            text = message.error_msg or _STATES[message.state]
            self._gaps.faults[text] = self._gaps.faults.get(text, 0) + 1
        self._state = message.state

    def finish(self) -> Gaps:
        """Returns what was found."""
        gaps = self._gaps
        gaps.dropped_frames = max(map(count_missing, self._stamps.values()), default=0)
        gaps.frames = max((self._seen[topic] for topic in CAMERAS), default=0)
        gaps.missing_actions = self._numbers[comms.APPLIED_ACTION.name].missing
        gaps.missing_experiences = self._numbers[comms.EXPERIENCE.name].missing
        return gaps

    def _see_stamp(self, topic: str, stamp: int, time_ns: int) -> None:
        last = self._clocks.get(topic)
        self._clocks[topic] = (stamp, time_ns)
        if last is not None:
            drift = (stamp - last[0]) - (time_ns - last[1])
            self._gaps.clock_jumps += stamp < last[0] or abs(drift) > _LEAP_NS
        if topic in CAMERAS:
            self._stamps.setdefault(topic, []).append(stamp)


def count_missing(stamps: Sequence[int]) -> int:
    """Returns how many stamps are missing in a row that should have one rhythm, the median of its intervals.

    A busy machine comes late and then catches up: what follows a hole in less than half a period fills it. A hole of
    more than five seconds is no loss of images but a camera that was away, and not counted.

    Args:
        stamps: ns.
    """
    intervals = np.diff(np.asarray(stamps, np.int64))
    rising = intervals[intervals > 0]
    if not rising.size:
        return 0
    missing = hole = 0
    for periods in rising[rising <= _SILENCE_NS] / float(np.median(rising)):
        if periods < 0.5:
            hole = max(hole - 1, 0)
            continue
        missing += hole
        hole = round(periods) - 1
    return missing + hole
