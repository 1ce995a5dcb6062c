"""Steps of a session and the observations before them: the first of two passes over a bag, without pixels."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import difference, RobotInfo
from cls_common.stamps import NS, to_nanoseconds

from .. import cdr_fields
from ..quality.image_check import image_problem, UNREADABLE
from ..reader import RawEvent, SessionReader

T = TypeVar('T')

# Messages of one clock arrive slightly out of order; a stamp further back than this, ns, means that the clock was set.
_BACKWARD = NS


@dataclass(frozen=True)
class Shot:
    """One image: its `place` among the recorded ones of its topic, the clock's `epoch`, and its stamp, ns."""

    place: int
    epoch: int
    stamp: int
    is_broken: bool = False


@dataclass(frozen=True, eq=False)
class RecordedStep:
    """One action that the robot carried out, and the observation before it (docs/graph.md, `robot/applied_action`).

    Attributes:
        epoch: number of times that the robot's clock had been set back before.
        start, end: of the motion, ns of the robot's clock.
        follows: no action of the same source was lost or refused between the step before and this one.
        action: float32 (A,), as applied, robot units.
        joints: float64 (J,), before, rad.
        reward: NaN where there is none.
        terminal, truncated: the episode ended here by its own rules, or was cut.
        shot: the newest image stamped at or before `start`; None where there is none.
        senses: modality -> float32 vector, newest at or before `start`.
    """

    epoch: int
    start: int
    end: int
    follows: bool
    action: NDArray[np.float32]
    joints: NDArray[np.float64]
    reward: float
    terminal: bool
    truncated: bool
    shot: Shot | None
    senses: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Timeline:
    """A session in order of time.

    Attributes:
        robot: None where unknown.
        image_topic: relative name of the topic that `shots` are of; '' where no image was recorded.
        shots: images, each newer than the one before or of a later epoch: repetitions are left out, and what can't be
            decoded.
        broken: images that can't be decoded.
    """

    path: Path
    robot: RobotInfo | None
    image_topic: str
    shots: tuple[Shot, ...]
    steps: tuple[RecordedStep, ...]
    broken: int = 0


class _Clock:
    """A robot's clock that may be set back, as by a simulator that was restarted."""

    def __init__(self) -> None:
        self.epoch = 0
        self._newest: int | None = None

    def add(self, stamp: int) -> int:
        if self._newest is not None and stamp < self._newest - _BACKWARD:
            self.epoch += 1
            self._newest = stamp
        self._newest = stamp if self._newest is None else max(self._newest, stamp)
        return self.epoch


class _Stamped(Generic[T]):
    """Values in order of epoch and stamp; `at` returns the newest one up to a time."""

    def __init__(self) -> None:
        self._times: list[tuple[int, int]] = []
        self.values: list[T] = []

    def add(self, epoch: int, stamp: int, value: T) -> None:
        if not self._times or (epoch, stamp) > self._times[-1]:
            self._times.append((epoch, stamp))
            self.values.append(value)

    def at(self, epoch: int, stamp: int) -> T | None:
        index = bisect_right(self._times, (epoch, stamp)) - 1
        return self.values[index] if index >= 0 and self._times[index][0] == epoch else None


def read_timelines(sessions: Sequence[Path]) -> list[Timeline]:
    """Reads the first pass over each session; raises UserError as SessionReader does."""
    timelines = []
    for session in sessions:
        with SessionReader(session) as reader:
            timelines.append(read_timeline(reader))
    return timelines


def read_timeline(reader: SessionReader) -> Timeline:
    """Reads the actions of a session and the observation before each."""
    image_topic = choose_image_topic(reader)
    senses = {
        topic: topic.removeprefix(comms.OBSERVATION_PREFIX)
        for topic in reader.topics
        if topic.startswith(comms.OBSERVATION_PREFIX)
    }
    clock, shots, answers, place = _Clock(), _Stamped[Shot](), list[tuple[int, Any]](), 0
    broken = 0
    vectors = {modality: _Stamped[NDArray[np.float32]]() for modality in senses.values()}
    wanted = [comms.APPLIED_ACTION.name, *senses, *([image_topic] if image_topic else [])]
    for raw in reader.raw(wanted):
        is_broken = raw.topic == image_topic and bool(image_problem(raw.topic, raw.data))
        if is_broken:
            broken += 1
            stamp = _stamp(raw)
            if stamp is not None:
                epoch = clock.add(stamp)
                shots.add(epoch, stamp, Shot(place, epoch, stamp, is_broken=True))
            place += 1
            continue
        event = reader.decode(raw)
        message = event.message
        if event.topic == comms.APPLIED_ACTION.name:
            answers.append((clock.add(to_nanoseconds(message.end)), message))
            continue
        stamp = to_nanoseconds(message.header.stamp)
        epoch = clock.add(stamp)
        if event.topic == image_topic:
            shots.add(epoch, stamp, Shot(place, epoch, stamp))
            place += 1
        else:
            vectors[senses[event.topic]].add(epoch, stamp, np.asarray(message.data, np.float32))
    steps = _steps(answers, shots, vectors)
    whole = tuple(shot for shot in shots.values if not shot.is_broken)
    return Timeline(reader.path, reader.info.robot, image_topic, whole, tuple(steps), broken)


def _stamp(event: RawEvent) -> int | None:
    try:
        return cdr_fields.stamp(event.data)
    except UNREADABLE:
        return None


def median_period(stamps: Sequence[tuple[int, int]]) -> float:
    """Returns the median time from one (epoch, stamp) to the next of the same epoch, s; NaN with fewer than two."""
    gaps = [b[1] - a[1] for a, b in pairwise(stamps) if a[0] == b[0] and b[1] > a[1]]
    return float(np.median(gaps)) / NS if gaps else math.nan


def one_robot(timelines: Sequence[Timeline]) -> RobotInfo | None:
    """Returns the robot that all sessions were recorded with, None where no session names one.

    Raises:
        UserError: they differ in what an action or a joint means.
    """
    known = [(timeline, timeline.robot) for timeline in timelines if timeline.robot is not None]
    for timeline, robot in known[1:]:
        first_timeline, first = known[0]
        if difference(first, robot):
            raise UserError(
                f'session {timeline.path.name!r} is of another robot',
                expected=_describe(first, first_timeline),
                found=_describe(robot, timeline),
                do='Export the sessions of each robot by themselves.',
            )
    return known[0][1] if known else None


def no_images(timeline: Timeline) -> UserError:
    """Returns the error for a session without images."""
    found = f'{timeline.broken} that can not be decoded' if timeline.broken else ''
    return UserError(
        f'session {timeline.path.name!r} holds no images',
        expected='camera/image_raw or camera/image_raw/compressed',
        found=found,
        do='Record one of them.',
    )


def _describe(robot: RobotInfo, timeline: Timeline) -> str:
    channels = ', '.join(f'{c.name} {c.low:g}..{c.high:g} {c.unit}'.rstrip() for c in robot.channels)
    return f'{robot.name!r} ({channels}) as in {timeline.path.name!r}'


def choose_image_topic(reader: SessionReader) -> str:
    """Returns the more complete topic of images, raw ones where both are whole; '' where none were recorded."""
    counts = {
        topic.name: reader.topics[topic.name].count
        for topic in (comms.IMAGE, comms.COMPRESSED)
        if topic.name in reader.topics
    }
    best = max(counts, key=lambda name: counts[name], default='')
    return best if best and counts[best] else ''


def _steps(
    answers: Sequence[tuple[int, Any]], shots: _Stamped[Shot], vectors: dict[str, _Stamped[NDArray[np.float32]]]
) -> list[RecordedStep]:
    steps: list[RecordedStep] = []
    sequences: dict[str, int] = {}
    refused = False
    for epoch, message in answers:
        lost = message.sequence != sequences.get(message.source, message.sequence - 1) + 1
        sequences[message.source] = message.sequence
        if message.error_code:
            refused = True
            continue
        start = to_nanoseconds(message.start)
        found = {name: values.at(epoch, start) for name, values in vectors.items()}
        steps.append(
            RecordedStep(
                epoch=epoch,
                start=start,
                end=to_nanoseconds(message.end),
                follows=not (lost or refused),
                action=np.asarray(message.applied, np.float32),
                joints=np.asarray(message.joints_before, np.float64),
                reward=float(message.reward),
                terminal=bool(message.terminal),
                truncated=bool(message.truncated),
                shot=shots.at(epoch, start),
                senses={name: value for name, value in found.items() if value is not None},
            )
        )
        refused = False
    return steps
