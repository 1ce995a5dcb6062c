"""Stream of one session's messages from any position, in the order in which a learner received them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from cls_common import comms
from cls_common.robot import from_message, RobotInfo
from cls_common.transition import EMBEDDING

from ..quality.image_check import image_problem
from ..reader import RawEvent, SessionReader
from .items import Boundary, Item, to_item
from .settings import PlayerSettings, RECOMPUTE, REUSE
from .sources import Source
from .stamp_order import StampOrder

MakeInfo = Callable[[RobotInfo], bytes]


@dataclass(frozen=True)
class EncoderAnswer:
    """Answer of encoder/get_encoder: id and modality, both empty before its first observation."""

    encoder_id: str
    modality: str


@dataclass(frozen=True)
class StreamSelection:
    """Form of observations to publish.

    Attributes:
        reuses: publish recorded embeddings.
        senses: topic of each reading of the learner, by its name; of the embedding, unless recorded ones are reused,
            the topic that an encoder embeds.
        topics: all topics to read.
    """

    reuses: bool
    senses: Mapping[str, str]
    topics: tuple[str, ...]

    @classmethod
    def choose(
        cls, source: Source, settings: PlayerSettings, encoder: EncoderAnswer | None
    ) -> 'StreamSelection | None':
        """Makes the selection for one session; returns None if the answer of the encoder is needed first.

        Args:
            encoder: its answer; None is enough without a learner, for a learner that perceives no embedding, and with
                embeddings set to reuse.

        Raises:
            UserError: the session lacks what the learner perceives.
        """
        senses = {name: source.topic_of(name) for name in settings.readings if name != EMBEDDING}
        if EMBEDDING not in settings.readings:
            return cls._of(source, senses, reuses=False)
        wanted, is_recorded = settings.embeddings, bool(source.encoder_id)
        if encoder is None and settings.with_learner and not (wanted == REUSE and is_recorded):
            return None
        is_same = encoder is None or wanted == REUSE or encoder.encoder_id == source.encoder_id
        reuses = is_recorded and is_same and wanted != RECOMPUTE
        embedded = source.sense(encoder.modality if encoder else '')
        return cls._of(source, {EMBEDDING: comms.EMBEDDING.name if reuses else embedded, **senses}, reuses=reuses)

    @classmethod
    def _of(cls, source: Source, senses: Mapping[str, str], *, reuses: bool) -> 'StreamSelection':
        left_out = '' if reuses else comms.EMBEDDING.name
        if reuses and comms.COMPRESSED.name in source.topics and comms.IMAGE.name not in senses.values():
            # Raw images serve viewers only, which can use the compressed ones.
            left_out = comms.IMAGE.name
        return cls(reuses, senses, tuple(name for name in source.topics if name != left_out))

    @property
    def needs_encoder(self) -> bool:
        """Whether an encoder computes the learner's embeddings."""
        return any(map(self.is_encoded, self.senses))

    def is_encoded(self, sense: str) -> bool:
        """Whether an encoder makes this reading from what is published."""
        return sense == EMBEDDING and not self.reuses

    def readings(self, topic: str) -> list[str]:
        """Returns the names of the readings that come from a topic."""
        return [name for name, source in self.senses.items() if source == topic]

    @property
    def vectors(self) -> list[str]:
        """Topics of the vectors that the learner itself perceives."""
        topics = (topic for name, topic in self.senses.items() if not self.is_encoded(name))
        return [topic for topic in topics if topic.startswith(comms.OBSERVATION_PREFIX)]


class SessionStream:
    """An open session; `close` it.

    Args:
        make_info: returns the CDR of a robot's description, for sessions that have it only in their metadata or of an
            older version.

    Attributes:
        broken: number of images that can't be decoded; they are not played, and steps that need them are lost.
        problem: of the first of them.
    """

    def __init__(self, source: Source, make_info: MakeInfo) -> None:
        self._source = source
        self._make_info = make_info
        self._reader = SessionReader(source.path)
        self.broken = 0
        self.problem = ''

    def close(self) -> None:
        """Closes the files."""
        self._reader.close()

    def info(self, until_ns: int | None = None) -> bytes:
        """Returns the last robot/info up to a log time, or the first one of the session."""
        recorded = self._last(comms.ROBOT_INFO.name, until_ns)
        return recorded.data if recorded else self._make_info(self._source.robot)

    def entries(self, selection: StreamSelection, start_ns: int | None) -> Iterator[Item | Boundary]:
        """Yields all messages from a log time on, after a Boundary with the robot's description."""
        begin = self._source.start_ns if start_ns is None else start_ns
        info = self.info(start_ns)
        yield Boundary(begin, info)
        state = self._last(comms.ROBOT_STATE.name, start_ns) if start_ns is not None else None
        if state is not None and state.log_ns < begin:
            yield Item(state.topic, state.type, begin, None, state.data)
        events = self._reader.raw(selection.topics, start_ns)
        senses = set(selection.senses.values())
        yield from StampOrder(self._items(events, senses), senses, info)

    def _items(self, events: Iterator[RawEvent], senses: Collection[str]) -> Iterator[Item | Boundary]:
        for event in events:
            problem = image_problem(event.topic, event.data)
            if not problem:
                yield self._to_item(event)
                continue
            self.broken += 1
            self.problem = self.problem or problem
            if event.topic in senses:
                # A step must not be completed by the image of another step.
                yield Boundary(event.time_ns)

    def first(self, topic: str) -> Item | None:
        """Returns the first message of a topic, for nodes that are made from their first observation."""
        whole = (event for event in self._reader.raw([topic]) if not image_problem(event.topic, event.data))
        return next(map(to_item, whole), None)

    def _last(self, topic: str, until_ns: int | None) -> Item | None:
        """Returns the last message up to a log time; the first one if none is that early or no time is given."""
        found: Item | None = None
        if topic in self._source.topics:
            for event in self._reader.raw([topic]):
                if found is not None and (until_ns is None or event.time_ns > until_ns):
                    break
                found = self._to_item(event)
        return found

    def _to_item(self, event: RawEvent) -> Item:
        item = to_item(event)
        if event.topic != comms.ROBOT_INFO.name:
            return item
        message = self._reader.decode(event).message
        if hasattr(message, 'has_reward'):
            return item
        # Nodes can't read the bytes of an older version.
        robot = replace(from_message(message), has_reward=self._source.robot.has_reward)
        return replace(item, data=self._make_info(robot))
