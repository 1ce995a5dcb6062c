"""Transitions out of recorded sessions, as the robot lived them: the same every time they are read."""

from collections.abc import Callable, Iterator, Sequence
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import from_jpeg, to_rgb
from cls_common.robot import difference, RobotInfo
from cls_common.stamps import to_nanoseconds
from cls_learning.agent.wake_state import Applied, Seen, WakeState
from cls_learning.agent.waking import check
from cls_learning.types import Floats, Transition
from cls_perception.encoder import Encoder
from cls_recording.filters import ActionFilter
from cls_recording.reader import Event, SessionReader

_EXPERIENCE, _EMBEDDING, _APPLIED = comms.EXPERIENCE.name, comms.EMBEDDING.name, comms.APPLIED_ACTION.name
_ROBOT_INFO, _IMAGE, _COMPRESSED = comms.ROBOT_INFO.name, comms.IMAGE.name, comms.COMPRESSED.name


class Recording:
    """Sessions of one robot as one life with gaps (H2).

    Args:
        paths: sessions in order.
        robot: whose model learns; a session of another one is refused.
        encoder: its embeddings are reused where they were recorded, else made anew from images or observations.
        action_filter: only steps whose commanded action matches; None: all (row 001-085).

    Attributes:
        reused, computed: transitions of this object's life whose embeddings were recorded, or made anew.
        refused: steps with numbers that are not finite or of another size; never learned from.
        broken: images and observations that can't be read, each of which costs the steps that need it.
        problem: of the first of them.
        pair: applied to each step as it is read, in order: takes late images into account.
    """

    def __init__(
        self, paths: Sequence[Path], robot: RobotInfo, encoder: Encoder, action_filter: ActionFilter | None = None
    ) -> None:
        self._paths = paths
        self._robot = robot
        self._encoder = encoder
        self._filter = action_filter
        self.reused = self.computed = self.refused = self.broken = 0
        self.problem = ''
        self.pair: Callable[[Transition], Transition] = lambda step: step
        if action_filter is not None:
            action_filter.check(robot)

    @property
    def key(self) -> str:
        """Tells the same sessions under the same filter from others."""
        names = [f'{path.resolve()} {_size(path)}' for path in self._paths]
        return hashlib.sha256(repr((names, self._filter)).encode()).hexdigest()

    def transitions(self) -> Iterator[Transition]:
        """Yields every step; `boundary` wherever what came before it is missing.

        Raises:
            UserError: a session of another robot, without what is needed, or damaged.
        """
        for path in self._paths:
            with SessionReader(path) as reader:
                check_robot(reader, self._robot)
                yield from self._chained(map(self.pair, self._steps(reader)))

    def _chained(self, steps: Iterator[Transition]) -> Iterator[Transition]:
        """Leaves out what is not wanted; what follows it begins a new chain, as does a session."""
        is_broken = True
        for step in steps:
            if not self._is_wanted(step):
                is_broken = True
                continue
            yield step if not is_broken or step.boundary else _as_boundary(step)
            is_broken = False

    def _is_wanted(self, step: Transition) -> bool:
        if self._filter is not None and not self._filter.matches(self._robot, step.action_commanded):
            return False
        try:
            check(step, self._robot, self._encoder.size)
        except UserError:
            self.refused += 1
            return False
        return True

    def _steps(self, reader: SessionReader) -> Iterator[Transition]:
        if self._is_ours(reader, _EXPERIENCE):
            for step in from_experiences(reader.events([_EXPERIENCE])):
                self.reused += 1
                yield step
            return
        modality = self._encoder.modality
        if self._is_ours(reader, _EMBEDDING):
            topic, kind = _EMBEDDING, 'reused'
        else:
            topic, kind = _sense(reader, modality), 'computed'
        if _APPLIED not in reader.topics:
            raise missing(reader, [_APPLIED])
        robot = reader.info.robot
        assert robot is not None
        for step in from_senses(reader, topic, self._see, robot, self._leave_out):
            setattr(self, kind, getattr(self, kind) + 1)
            yield step

    def _leave_out(self, problem: str) -> None:
        self.broken += 1
        self.problem = self.problem or problem

    def _is_ours(self, reader: SessionReader, topic: str) -> bool:
        first = next(reader.events([topic]), None)
        if first is None:
            return False
        version = getattr(first.message, 'version', getattr(first.message, 'encoder_version', None))
        return bool(first.message.encoder_id == self._encoder.id and version == self._encoder.version)

    def _see(self, event: Event) -> Seen | None:
        message = event.message
        stamp = to_nanoseconds(message.header.stamp)
        if event.topic == _EMBEDDING:
            is_ours = message.encoder_id == self._encoder.id and message.modality == self._encoder.modality
            return Seen(floats(message.data), stamp, message.encoder_id) if is_ours else None
        if event.topic == _IMAGE:
            m = message
            image = to_rgb(m.data.tobytes(), m.height, m.width, m.encoding, m.step)
        elif event.topic == _COMPRESSED:
            image = from_jpeg(message.data.tobytes())
        else:
            return Seen(self._encoder.encode(floats(message.data)[None])[0], stamp, self._encoder.id)
        return Seen(self._encoder.encode(image[None])[0], stamp, self._encoder.id)


def from_experiences(events: Iterator[Event]) -> Iterator[Transition]:
    """Yields what `experience` messages hold; a hole in their sequence begins a new chain."""
    last = None
    for event in events:
        m = event.message
        follows = last is not None and m.sequence == last + 1
        last = m.sequence
        yield Transition(
            z=floats(m.z), z_next=floats(m.z_next), action_commanded=floats(m.action_commanded),
            action_applied=floats(m.action_applied), joints=np.array(m.joints, np.float64),
            joints_next=np.array(m.joints_next, np.float64), boundary=bool(m.boundary) or not follows,
            stamp_z=to_nanoseconds(m.stamp_z), stamp_next=to_nanoseconds(m.stamp_next), reward=float(m.reward),
            terminal=bool(m.terminal), truncated=bool(m.truncated), image_delay=int(getattr(m, 'image_delay', 0)),
        )  # fmt: skip


def from_senses(
    reader: SessionReader, topic: str, see: Callable[[Event], Seen | None], robot: RobotInfo,
    leave_out: Callable[[str], None] = lambda _: None,
) -> Iterator[Transition]:  # fmt: skip
    """Pairs what was seen with what was done, as fast_learner does when it follows.

    Args:
        see: reads a message of `topic`; None: it is not ours; UserError: it is broken. Then all before it is forgotten,
            so that no step is closed by another image than its own.
        leave_out: called with the problem of each broken message.
    """
    wake = WakeState(settle_time=robot.settle_time, lock_step=robot.lock_step)
    was_described = False
    for raw in reader.raw([topic, _APPLIED, _ROBOT_INFO]):
        step = None
        if raw.topic == topic:
            try:
                seen = see(reader.decode(raw))
                step = wake.see(seen) if seen is not None else None
            except UserError as error:
                leave_out(str(error))
                wake.restart()
            if step is not None:
                yield step
            continue
        event = reader.decode(raw)
        if event.topic == _ROBOT_INFO:
            # Said again, the robot began anew.
            if was_described:
                wake.restart()
            was_described = True
        elif event.message.error_code:
            wake.break_chain()
        else:
            m = event.message
            step = wake.hear((m.source, m.sequence), to_applied(m), now=0.0)
        if step is not None:
            yield step


def to_applied(message: Any) -> Applied:
    """Reads a recorded cls_interfaces/AppliedAction."""
    m = message
    return Applied(
        floats(m.commanded), floats(m.applied), np.array(m.joints_before, np.float64),
        np.array(m.joints_after, np.float64), to_nanoseconds(m.start), to_nanoseconds(m.end), float(m.reward),
        bool(m.terminal), bool(m.truncated),
    )  # fmt: skip


def check_robot(reader: SessionReader, robot: RobotInfo) -> None:
    """Refuses a session of a robot whose actions or joints mean something else, or of one that nobody knows."""
    if reader.info.robot is None:
        raise missing(reader, [_ROBOT_INFO])
    other = difference(robot, reader.info.robot, ('actions', 'joints'))
    if other is not None:
        raise UserError(
            f'session {reader.path}', expected=f'robot {robot.name!r} with {other.aspect} {other.expected}',
            found=f'robot {reader.info.robot.name!r} with {other.found}',
            do='Choose another model name, or sessions of this robot.',
        )  # fmt: skip


def missing(reader: SessionReader, topics: Sequence[str]) -> UserError:
    """Returns the error of a session that lacks what is needed."""
    left_out = ''.join(f'; left out {name}: {reason}' for name, reason in reader.left_out.items())
    return UserError(
        f'session {reader.path}', expected=f'topic {" and ".join(topics)}',
        found=(', '.join(reader.topics) or 'none') + left_out,
    )  # fmt: skip


def floats(values: Any) -> Floats:
    """Returns a copy as float32: recorded arrays may be views of a file."""
    return np.array(values, np.float32)


def _size(path: Path) -> int:
    return sum(
        file.stat().st_size
        for file in path.iterdir()
        if file.is_file() and file.name.endswith(('.mcap', '.db3', '.zstd'))
    )


def _sense(reader: SessionReader, modality: str) -> str:
    wanted = [_IMAGE, _COMPRESSED] if modality == 'camera' else [comms.OBSERVATION_PREFIX + modality]
    for topic in wanted:
        if topic in reader.topics:
            return topic
    raise missing(reader, [' or '.join([*wanted, 'embedding of this encoder'])])


def _as_boundary(step: Transition) -> Transition:
    return Transition(**{**vars(step), 'boundary': True})
