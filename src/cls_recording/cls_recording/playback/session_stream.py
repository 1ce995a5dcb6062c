"""Stream of one session's messages from any position, in the order in which a learner received them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cls_common import comms
from cls_common.robot import RobotInfo

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
        sense: topic that completes a learner's steps, or that an encoder embeds.
        topics: all topics to read.
    """

    reuses: bool
    sense: str
    topics: tuple[str, ...] = field(default=())

    @classmethod
    def choose(
        cls, source: Source, settings: PlayerSettings, encoder: EncoderAnswer | None
    ) -> 'StreamSelection | None':
        """Makes the selection for one session; returns None if the encoder has to be asked first.

        Args:
            encoder: its answer; None is enough without a learner, or with embeddings set to reuse.
        """
        recorded = bool(source.encoder_id)
        if not settings.with_learner:
            reuses = recorded and settings.embeddings != RECOMPUTE
            topics = [name for name in source.topics if reuses or name != comms.EMBEDDING.name]
            return cls(reuses, comms.EMBEDDING.name if reuses else source.sense(''), tuple(topics))
        if settings.embeddings == REUSE and recorded:
            return cls._reuse(source)
        if encoder is None:
            return None
        if settings.embeddings != RECOMPUTE and recorded and encoder.encoder_id == source.encoder_id:
            return cls._reuse(source)
        topics = [name for name in source.topics if name != comms.EMBEDDING.name]
        return cls(False, source.sense(encoder.modality), tuple(topics))

    @classmethod
    def _reuse(cls, source: Source) -> 'StreamSelection':
        # Raw images serve viewers only, which can use the compressed ones.
        left_out = comms.IMAGE.name if comms.COMPRESSED.name in source.topics else ''
        return cls(True, comms.EMBEDDING.name, tuple(name for name in source.topics if name != left_out))


class SessionStream:
    """An open session; `close` it.

    Args:
        make_info: returns the CDR of a robot's description, for sessions that have it only in their metadata.

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
        yield from StampOrder(self._items(events, selection.sense), {selection.sense}, info)

    def _items(self, events: Iterator[RawEvent], sense: str) -> Iterator[Item | Boundary]:
        for event in events:
            problem = image_problem(event.topic, event.data)
            if not problem:
                yield to_item(event)
                continue
            self.broken += 1
            self.problem = self.problem or problem
            if event.topic == sense:
                # A step must not be completed by the image of another step.
                yield Boundary(event.time_ns)

    def first_sense(self, selection: StreamSelection) -> Item | None:
        """Returns the first message of the sense, for an encoder without an id before its first observation."""
        whole = (event for event in self._reader.raw([selection.sense]) if not image_problem(event.topic, event.data))
        return next(map(to_item, whole), None)

    def _last(self, topic: str, until_ns: int | None) -> Item | None:
        """Returns the last message up to a log time; the first one if none is that early or no time is given."""
        found: Item | None = None
        if topic in self._source.topics:
            for event in self._reader.raw([topic]):
                if found is not None and (until_ns is None or event.time_ns > until_ns):
                    break
                found = to_item(event)
        return found
