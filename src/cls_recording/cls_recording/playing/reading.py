"""One session as it goes out: opened anywhere, in the order in which it was lived."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cls_common import comms
from cls_common.robot import RobotInfo

from ..image_check import image_problem
from ..reader import RawEvent, SessionReader
from .items import Break, Item, to_item
from .settings import PlayerSettings, RECOMPUTE, REUSE
from .sources import Source
from .timeline import Timeline

MakeInfo = Callable[[RobotInfo], bytes]


@dataclass(frozen=True)
class EncoderAnswer:
    """What encoder/get_encoder says: its id and sense, both empty while it waits for its first observation."""

    encoder_id: str
    modality: str


@dataclass(frozen=True)
class Choice:
    """Which form of what was seen goes out.

    Attributes:
        reuses: recorded embeddings.
        sense: topic that a learner closes its steps by, or an encoder makes embeddings of.
        topics: all that is read.
    """

    reuses: bool
    sense: str
    topics: tuple[str, ...] = field(default=())

    @classmethod
    def make(cls, source: Source, settings: PlayerSettings, encoder: EncoderAnswer | None) -> 'Choice | None':
        """Chooses for one session; None while the encoder has to be asked.

        Args:
            encoder: its answer; not needed without a learner, or where reuse was asked for.
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
    def _reuse(cls, source: Source) -> 'Choice':
        # Raw images are of use to viewers only, and those can have them compressed.
        left_out = comms.IMAGE.name if comms.COMPRESSED.name in source.topics else ''
        return cls(True, comms.EMBEDDING.name, tuple(name for name in source.topics if name != left_out))


class Reading:
    """An open session; `close` it.

    Args:
        make_info: CDR of a robot's description, for sessions that only name it in their metadata.

    Attributes:
        broken: images that can't be decoded; they are not played, and cost the steps that need them.
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
        """Returns what the robot last said of itself by a log time, or first of all."""
        recorded = self._last(comms.ROBOT_INFO.name, until_ns)
        return recorded.data if recorded else self._make_info(self._source.robot)

    def entries(self, choice: Choice, start_ns: int | None) -> Iterator[Item | Break]:
        """Yields everything from a log time on, or all, after a Break that says whose it is."""
        begin = self._source.start_ns if start_ns is None else start_ns
        info = self.info(start_ns)
        yield Break(begin, info)
        state = self._last(comms.ROBOT_STATE.name, start_ns) if start_ns is not None else None
        if state is not None and state.log_ns < begin:
            yield Item(state.topic, state.type, begin, None, state.data)
        events = self._reader.raw(choice.topics, start_ns)
        yield from Timeline(self._items(events, choice.sense), {choice.sense}, info)

    def _items(self, events: Iterator[RawEvent], sense: str) -> Iterator[Item | Break]:
        for event in events:
            problem = image_problem(event.topic, event.data)
            if not problem:
                yield to_item(event)
                continue
            self.broken += 1
            self.problem = self.problem or problem
            if event.topic == sense:
                # No step may be closed by another image than its own.
                yield Break(event.time_ns)

    def first_sense(self, choice: Choice) -> Item | None:
        """Returns the first message of the sense, for an encoder that has to see one before it knows what it is."""
        whole = (event for event in self._reader.raw([choice.sense]) if not image_problem(event.topic, event.data))
        return next(map(to_item, whole), None)

    def _last(self, topic: str, until_ns: int | None) -> Item | None:
        """Returns the last message by a log time; where there is none so early, or without a time, the first one."""
        found: Item | None = None
        if topic in self._source.topics:
            for event in self._reader.raw([topic]):
                if found is not None and (until_ns is None or event.time_ns > until_ns):
                    break
                found = to_item(event)
        return found
