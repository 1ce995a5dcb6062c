"""Reads transitions of recorded sessions, paired by the rule of the running graph."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
import hashlib
from pathlib import Path
from typing import Any

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_embedding, from_message, from_observation
from cls_common.images import Image, resize
from cls_common.robot import difference, RobotInfo
from cls_common.stamps import to_nanoseconds
from cls_common.transition import check, EMBEDDING, JOINTS, Reading, Transition
from cls_learning.brain import Input
from cls_perception.encoder import Encoder
from cls_recording.filters import ActionFilter
from cls_recording.reader import Event, SessionReader
from cls_recording.steps import from_experiences, from_senses, missing, Readings, to_image

_EXPERIENCE, _EMBEDDING, _APPLIED = comms.EXPERIENCE.name, comms.EMBEDDING.name, comms.APPLIED_ACTION.name
_ROBOT_INFO, _IMAGE, _COMPRESSED = comms.ROBOT_INFO.name, comms.IMAGE.name, comms.COMPRESSED.name


class TransitionReader:
    """Reads the sessions of one robot as one stream with gaps.

    Args:
        paths: sessions in order.
        robot: robot of the model; a session of another one is refused.
        inputs: what the brain perceives. shapes: of each input, by name.
        encoder: its embeddings are reused if they were recorded, else computed from images or observations; None if
            the brain perceives none.
        action_filter: only steps whose commanded action matches; None: all.

    Attributes:
        reused, computed: transitions read so far whose observations were recorded as such, or computed.
        refused: steps that are left out since a number is not finite or an array has another size.
        broken: images and observations that can't be read; steps that need them are left out.
        problem: error text of the first of them.
        prepare: applied to each step as it is read, in order; see `OnlineLearner.prepare`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        robot: RobotInfo,
        inputs: Sequence[Input],
        shapes: Mapping[str, tuple[int, ...]],
        encoder: Encoder | None,
        action_filter: ActionFilter | None = None,
    ) -> None:
        self._paths = paths
        self._robot = robot
        self._inputs = inputs
        self._shapes = shapes
        self._encoder = encoder
        self._filter = action_filter
        self.reused = self.computed = self.refused = self.broken = 0
        self.problem = ''
        self.prepare: Callable[[Transition], Transition] = lambda step: step
        if action_filter is not None:
            action_filter.check(robot)

    @property
    def key(self) -> str:
        """SHA-256 of sessions and filter, to recognise the same replay again."""
        names = [f'{path.resolve()} {_size(path)}' for path in self._paths]
        return hashlib.sha256(repr((names, self._filter)).encode()).hexdigest()

    def transitions(self) -> Iterator[Transition]:
        """Yields every step; `boundary` is set if the step before it is missing.

        Raises:
            UserError: a session of another robot, or damaged, or without a topic that is needed.
        """
        for path in self._paths:
            with SessionReader(path) as reader:
                check_robot(reader, self._robot)
                yield from self._chained(map(self.prepare, self._steps(reader)))

    def _chained(self, steps: Iterator[Transition]) -> Iterator[Transition]:
        """Leaves out unwanted steps; the step after a gap and the first one of a session begin a new chain."""
        is_broken = True
        for step in steps:
            if not self._is_wanted(step):
                is_broken = True
                continue
            yield step if not is_broken or step.boundary else replace(step, boundary=True)
            is_broken = False

    def _is_wanted(self, step: Transition) -> bool:
        if self._filter is not None and not self._filter.matches(self._robot, step.action_commanded):
            return False
        try:
            check(step, self._robot, self._shapes)
        except UserError:
            self.refused += 1
            return False
        return True

    def _steps(self, reader: SessionReader) -> Iterator[Transition]:
        if self._has_matching_experiences(reader):
            for step in from_experiences(reader.events([_EXPERIENCE])):
                self.reused += 1
                yield step
            return
        has_embeddings = self._has_matching_embeddings(reader)
        topics = [self._topic(reader, each, has_embeddings) for each in self._inputs if each.name != JOINTS]
        if _APPLIED not in reader.topics:
            raise missing(reader, [_APPLIED])
        robot = reader.info.robot
        assert robot is not None
        steps = from_senses(
            reader, list(dict.fromkeys(topics)), tuple(self._shapes), self._read, robot, self._leave_out
        )
        for step in steps:
            if has_embeddings or self._encoder is None:
                self.reused += 1
            else:
                self.computed += 1
            yield step

    def _leave_out(self, problem: str) -> None:
        self.broken += 1
        self.problem = self.problem or problem

    def _has_matching_experiences(self, reader: SessionReader) -> bool:
        """Whether the recorded experiences hold all inputs of the brain, in its shapes and by its encoder."""
        first = next(reader.events([_EXPERIENCE]), None)
        if first is None:
            return False
        readings = from_message(first.message).transition.after.readings
        return all(
            name in readings
            and readings[name].data.shape == shape
            and (name != EMBEDDING or self._is_by_encoder(readings[name]))
            for name, shape in self._shapes.items()
        )

    def _has_matching_embeddings(self, reader: SessionReader) -> bool:
        first = next(reader.events([_EMBEDDING]), None)
        return first is not None and self._is_by_encoder(from_embedding(first.message))

    def _is_by_encoder(self, reading: Reading) -> bool:
        encoder = self._encoder
        return encoder is not None and (reading.encoder_id, reading.encoder_version) == (encoder.id, encoder.version)

    def _topic(self, reader: SessionReader, each: Input, has_embeddings: bool) -> str:
        """Returns the topic from which an input comes."""
        if each.kind == 'embedding':
            assert self._encoder is not None
            return _EMBEDDING if has_embeddings else _sense(reader, self._encoder.modality)
        return _sense(reader, each.name)

    def _read(self, event: Event) -> Readings:
        message, encoder = event.message, self._encoder
        if event.topic == _EMBEDDING:
            assert encoder is not None
            is_matching = message.encoder_id == encoder.id and message.modality == encoder.modality
            return {EMBEDDING: from_embedding(message)} if is_matching else {}
        if event.topic in (_IMAGE, _COMPRESSED):
            return self._read_image(to_image(event), to_nanoseconds(message.header.stamp))
        reading = from_observation(message)
        modality = event.topic.removeprefix(comms.OBSERVATION_PREFIX)
        readings = {modality: reading} if modality in self._shapes else {}
        if encoder is not None and encoder.modality == modality:
            readings[EMBEDDING] = self._encode(reading.data, reading.stamp)
        return readings

    def _read_image(self, image: Image, stamp: int) -> Readings:
        readings = {
            each.name: Reading(resize(image, (each.size[0], each.size[1])), stamp)
            for each in self._inputs if each.kind == 'image'
        }  # fmt: skip
        if self._encoder is not None and self._encoder.modality == 'camera':
            readings[EMBEDDING] = self._encode(image, stamp)
        return readings

    def _encode(self, x: Any, stamp: int) -> Reading:
        assert self._encoder is not None
        return Reading(self._encoder.encode(x[None])[0], stamp, self._encoder.id, self._encoder.version)


def check_robot(reader: SessionReader, robot: RobotInfo) -> None:
    """Raises UserError if a session names no robot, or one whose actions or joints differ."""
    if reader.info.robot is None:
        raise missing(reader, [_ROBOT_INFO])
    other = difference(robot, reader.info.robot, ('actions', 'joints'))
    if other is not None:
        raise UserError(
            f'session {reader.path}', expected=f'robot {robot.name!r} with {other.aspect} {other.expected}',
            found=f'robot {reader.info.robot.name!r} with {other.found}',
            do='Choose another model name, or sessions of this robot.',
        )  # fmt: skip


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
