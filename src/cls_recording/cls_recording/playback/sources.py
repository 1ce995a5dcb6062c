"""Sessions of a replay: compatibility, missing topics, and topics to publish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import difference, RobotInfo
from cls_common.transition import CAMERA

from ..discovery import find_sessions
from ..reader import SessionReader, TopicSummary

# Without robot/action, which would move a connected robot, and without the topics of learners.
_ROBOT_TOPICS = (
    comms.IMAGE,
    comms.CAMERA_INFO,
    comms.COMPRESSED,
    comms.JOINT_STATES,
    comms.ROBOT_INFO,
    comms.ROBOT_STATE,
    comms.APPLIED_ACTION,
    comms.EMBEDDING,
)
_PREFIX = comms.OBSERVATION_PREFIX
_OBSERVATION_NAMES = f'{comms.IMAGE.name} (or compressed), {comms.EMBEDDING.name} or {_PREFIX}<modality>'


def playable(topics: Mapping[str, TopicSummary]) -> dict[str, comms.Topic]:
    """Returns the recorded topics of a robot, by name; those of another type are left out."""
    found = {topic.name: topic for topic in _ROBOT_TOPICS}
    modalities = [name.removeprefix(_PREFIX) for name in topics if name.startswith(_PREFIX)]
    found |= {_PREFIX + modality: comms.observation_topic(modality) for modality in modalities}
    return {
        name: topic
        for name, topic in found.items()
        if name in topics and topics[name].count and topics[name].type == topic.type
    }


@dataclass(frozen=True)
class Source:
    """One session: folder, robot, playable topics, first and last log time in ns, and id of its embeddings' encoder."""

    path: Path
    robot: RobotInfo
    topics: Mapping[str, comms.Topic]
    start_ns: int
    end_ns: int
    encoder_id: str = ''

    @classmethod
    def describe(cls, path: Path) -> Self:
        """Reads the description of a session; raises UserError if it can't be replayed."""
        with SessionReader(path) as reader:
            robot = reader.robot()
            if robot is None:
                raise UserError(
                    f'session {path}',
                    expected=f'the topic {comms.ROBOT_INFO.name!r}, or metadata that name the robot',
                    found='neither',
                    do='Record it together with the other topics.',
                )
            topics = playable(reader.topics)
            encoder_id = ''
            if comms.EMBEDDING.name in topics:
                first = next(iter(reader.events([comms.EMBEDDING.name])), None)
                encoder_id = str(first.message.encoder_id) if first else ''
            return cls(path, robot, topics, reader.start, reader.end, encoder_id)

    @property
    def duration(self) -> float:
        """Length, s."""
        return (self.end_ns - self.start_ns) * 1e-9

    @property
    def has_images(self) -> bool:
        """Whether there are images, raw or compressed."""
        return comms.IMAGE.name in self.topics or comms.COMPRESSED.name in self.topics

    @property
    def observations(self) -> list[str]:
        """Topics of modalities other than images."""
        return [name for name in self.topics if name.startswith(_PREFIX)]

    @property
    def missing(self) -> list[str]:
        """Topics that a learner needs and this session does not have."""
        missing = [] if comms.APPLIED_ACTION.name in self.topics else [comms.APPLIED_ACTION.name]
        has_observations = self.has_images or self.observations or self.encoder_id
        return missing if has_observations else [*missing, _OBSERVATION_NAMES]

    def sense(self, modality: str) -> str:
        """Returns the topic that an encoder of this modality embeds, compressed images standing for images.

        Args:
            modality: from encoder/get_encoder; empty: the encoder takes the first observation.
        """
        image = comms.IMAGE.name if comms.IMAGE.name in self.topics else comms.COMPRESSED.name
        if modality == CAMERA or not (modality or self.observations):
            return image
        wanted = _PREFIX + modality
        return wanted if wanted in self.topics or not self.observations else self.observations[0]

    def topic_of(self, reading: str) -> str:
        """Returns the topic of the images (`camera`) or of a vector, by its modality.

        Raises:
            UserError: it was not recorded.
        """
        topic = self.sense(CAMERA) if reading == CAMERA else _PREFIX + reading
        if topic not in self.topics:
            expected = f'{comms.IMAGE.name} (or compressed)' if reading == CAMERA else topic
            raise UserError(
                f'session {self.path}',
                expected=f'the topic {expected}, which the brain perceives',
                found=', '.join(sorted(self.topics)),
            )
        return topic


def open_sources(paths: Sequence[Path]) -> list[Source]:
    """Returns the sessions in these folders, in order; raises UserError unless all are of one robot."""
    if not paths:
        raise UserError('parameter session', expected='the folder of a session', found='nothing')
    sources = [Source.describe(path) for path in find_sessions(paths)]
    first = sources[0]
    for source in sources[1:]:
        if other := difference(first.robot, source.robot):
            found = '' if other.aspect == 'name' else f' with {other.aspect} {other.found}, not {other.expected}'
            raise UserError(
                f'session {source.path} is of another robot',
                expected=f'{first.robot.name!r}, as {first.path}',
                found=f'{source.robot.name!r}{found}',
                do='Replay them into models of their own.',
            )
    return sources
