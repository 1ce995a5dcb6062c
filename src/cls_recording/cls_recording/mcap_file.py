"""Contents of a scanned MCAP file, and its messages. No ROS here."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
import heapq
import io
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mcap.opcode import Opcode
from mcap.records import Channel, MessageIndex, Schema

from .mcap_summary import MAGIC
from .mcap_walk import (
    BrokenRecordError,
    McapRecord,
    parse,
    parse_message,
    UnknownCompressionError,
    unpack,
    walk,
)
from .stored_file import Damage, StoredMessage, StoredTopic

# The metadata record in which a repaired file states its losses: a repair that is interrupted can report them again.
REPAIR_RECORD = 'cls.repair'
# Keys of a channel's metadata in rosbag2's MCAP files.
_QOS, _HASH = 'offered_qos_profiles', 'topic_type_hash'


class Block(NamedTuple):
    """A chunk, or a series of messages outside of chunks, which is read at once.

    Attributes:
        begin, end: offsets of its records. first, last: log time, ns.
        channels: with messages in it; None: unknown.
    """

    begin: int
    end: int
    is_chunk: bool
    first: int
    last: int
    channels: frozenset[int] | None


@dataclass
class McapFile:
    """Contents of an MCAP file.

    Attributes:
        path, size: of the file; size in bytes.
        damages: bytes that can't be trusted; empty: the file is whole.
        is_ended: all its messages are present; the index may be missing.
        has_index: at least a part of one; a whole file need not have it.
        unknown_compressions: of chunks that are whole but can't be read.
        lost_bytes: in damages that may have held messages. earlier: bytes that a repair before this one dropped.
        stated: messages that the file's own statistics count; -1 without.
        compression: of the chunks: '', lz4 or zstd.
        first, last: log time, ns; 0 without messages.
        counts: messages by channel id.
        nameless: messages whose channel is unknown, because its record is damaged.
        blocks: where the messages are, in order of the file.
    """

    path: Path
    size: int
    damages: list[Damage] = field(default_factory=list)
    is_ended: bool = False
    has_index: bool = False
    unknown_compressions: set[str] = field(default_factory=set)
    lost_bytes: int = 0
    earlier: int = 0
    stated: int = -1
    compression: str = ''
    profile: str = 'ros2'
    library: str = ''
    first: int = 0
    last: int = 0
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    nameless: int = 0
    blocks: list[Block] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many messages can be read."""
        return self.counts.total()

    @property
    def topics(self) -> dict[int, StoredTopic]:
        """The channels, in the form common to all storages."""
        return {number: self._describe(channel) for number, channel in self.channels.items()}

    def _describe(self, channel: Channel) -> StoredTopic:
        schema = self.schemas.get(channel.schema_id) or Schema(id=0, data=b'', encoding='', name='')
        return StoredTopic(
            channel.topic,
            schema.name,
            channel.message_encoding,
            channel.metadata.get(_QOS, ''),
            channel.metadata.get(_HASH, ''),
            schema.encoding,
            schema.data.decode(errors='replace'),
        )

    def records(
        self, stream: BinaryIO, damages: list[Damage], skip: Mapping[int, int]
    ) -> Iterator[tuple[McapRecord, McapRecord | None]]:
        """Yields each record up to the data end with its chunk, in order of the file; appends damages."""
        anchors = sorted(skip) or self._anchors
        chunks = set(anchors)
        for record in walk(stream, len(MAGIC), self.size, anchors, skip):
            if isinstance(record, Damage):
                damages.append(record)
            elif record.begin in chunks and record.opcode != Opcode.CHUNK:
                # Its type was overwritten: as a record of another kind its messages would be missing without notice.
                damages.append(Damage(record.begin, record.end, 'another record where the index names a chunk'))
            elif record.opcode != Opcode.CHUNK:
                yield record, None
                if record.opcode == Opcode.DATA_END:
                    return
            else:
                for inner in self._unchunk(stream, record):
                    if isinstance(inner, Damage):
                        damages.append(inner)
                    else:
                        yield inner, record

    _anchors: list[int] = field(default_factory=list)

    def _unchunk(self, stream: BinaryIO, record: McapRecord) -> Iterator[McapRecord | Damage]:
        try:
            chunk, data = unpack(record.content)
        except UnknownCompressionError as error:
            self.unknown_compressions.add(str(error))
            return
        except BrokenRecordError as error:
            yield Damage(record.begin, record.end, str(error))
            return
        self.compression = chunk.compression
        # Without a checksum, the chunk's own index tells whether all its messages are there, and where.
        offsets = [] if chunk.uncompressed_crc else _message_offsets(stream, record.end, self.size)
        reasons, found = [], 0
        for inner in walk(io.BytesIO(data), 0, len(data), offsets):
            if isinstance(inner, Damage):
                reasons.append(inner.reason)
            else:
                found += inner.opcode == Opcode.MESSAGE
                yield inner
        if found < len(offsets):
            reasons.append(f'{found} of {len(offsets)} messages')
        if reasons:
            yield Damage(record.begin, record.end, f'a chunk with {", ".join(dict.fromkeys(reasons))}')

    def read(
        self, channels: Collection[int], start: int | None = None, *, by_time: bool = True
    ) -> Iterator[StoredMessage]:
        """Yields messages of some channels from a log time on, by log time or in the order in which they were written.

        Raises:
            OSError, BrokenRecordError: damaged since it was scanned, or where only the index was read.
        """
        blocks = [
            block
            for block in self.blocks
            if (start is None or block.last >= start) and (block.channels is None or block.channels & set(channels))
        ]
        with self.path.open('rb') as stream:
            waiting: list[tuple[int, int, int, StoredMessage]] = []
            for block in sorted(blocks, key=lambda block: (block.first, block.begin)) if by_time else blocks:
                while waiting and waiting[0][0] < block.first:
                    yield heapq.heappop(waiting)[3]
                for number, message in enumerate(_messages(stream, block)):
                    if message.channel not in channels or (start is not None and message.time < start):
                        continue
                    if by_time:
                        heapq.heappush(waiting, (message.time, block.begin, number, message))
                    else:
                        yield message
            while waiting:
                yield heapq.heappop(waiting)[3]


def _messages(stream: BinaryIO, block: Block) -> Iterator[StoredMessage]:
    """Yields the messages of a block; raises BrokenRecordError where its bytes are damaged."""
    source, begin, end = stream, block.begin, block.end
    if block.is_chunk:
        record = next(iter(walk(stream, block.begin, block.end)))
        if isinstance(record, Damage) or record.opcode != Opcode.CHUNK:
            raise BrokenRecordError(f'no chunk at byte {block.begin}')
        data = unpack(record.content)[1]
        source, begin, end = io.BytesIO(data), 0, len(data)
    for inner in walk(source, begin, end):
        if isinstance(inner, Damage):
            raise BrokenRecordError(str(Damage(block.begin, block.end, inner.reason)))
        if inner.opcode == Opcode.MESSAGE:
            yield parse_message(inner.content)


def _message_offsets(stream: BinaryIO, position: int, end: int) -> list[int]:
    """Returns where messages begin within a chunk, by the message indexes behind it."""
    offsets: list[int] = []
    for record in walk(stream, position, end):
        if isinstance(record, Damage) or record.opcode != Opcode.MESSAGE_INDEX:
            break
        try:
            offsets += [offset for _, offset in parse(MessageIndex, record.content).records]
        except BrokenRecordError:
            break
    return sorted(offsets)
