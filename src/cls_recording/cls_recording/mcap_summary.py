"""Reads the end of an MCAP file: its index, and whether it is whole. No ROS here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO
import zlib

from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Footer, Schema, Statistics

from .mcap_walk import BrokenRecordError, parse, walk
from .stored_file import Damage

MAGIC = b'\x89MCAP0\r\n'
# Record type, length and content of a footer, then the magic: the last bytes of every whole file. A padded footer is
# longer; no writer is known that makes one.
_FOOTER_RECORD = 1 + 8 + 20
END_SIZE = _FOOTER_RECORD + len(MAGIC)
# The checksum covers everything from the summary's beginning up to itself.
_CHECKSUM_SIZE = 4


@dataclass
class McapSummary:
    """Contents of a file's summary section.

    Attributes:
        is_there: it was written, completely or in part.
        damages: bytes of the index that can't be trusted; then nothing else is filled in.
        stated: messages in the file; -1: not stated.
        counts: messages by channel id. first, last: log time, ns.
        chunks: where they are, in order of the file.
    """

    is_there: bool = True
    damages: list[Damage] = field(default_factory=list)
    stated: int = -1
    counts: Mapping[int, int] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    chunk_count: int = 0

    @property
    def is_sufficient(self) -> bool:
        """Whether it is complete enough to find messages: writers may leave out any part of it."""
        used = [channel for channel, count in self.counts.items() if count]
        return (
            0 < self.chunk_count == len(self.chunks)
            and sum(self.counts.values()) == self.stated
            and all(channel in self.channels for channel in used)
            and all(self.channels[c].schema_id in self.schemas or not self.channels[c].schema_id for c in used)
        )


def read_footer(stream: BinaryIO, size: int) -> Footer | None:
    """Returns the footer of a file; None where its end is missing."""
    if size < len(MAGIC) + END_SIZE:
        return None
    stream.seek(size - END_SIZE)
    end = stream.read(END_SIZE)
    if end[0] != Opcode.FOOTER or not end.endswith(MAGIC):
        return None
    try:
        return parse(Footer, end[9:_FOOTER_RECORD])
    except BrokenRecordError:
        return None


def read(stream: BinaryIO, size: int) -> McapSummary:
    """Reads the summary of a file of a size in bytes."""
    footer = read_footer(stream, size)
    if footer is None:
        return McapSummary(damages=[Damage(size, size, 'no end')])
    begin, end = footer.summary_start, size - END_SIZE
    if begin == 0:
        return McapSummary(is_there=False)
    if not len(MAGIC) <= begin <= end:
        return McapSummary(damages=[Damage(end, size, 'an index that is not at the stated offset')])
    stream.seek(begin)
    content = stream.read(size - len(MAGIC) - _CHECKSUM_SIZE - begin)
    if footer.summary_crc and zlib.crc32(content) != footer.summary_crc:
        return McapSummary(damages=[Damage(begin, size, 'an index with a wrong checksum')])
    try:
        return _parse(stream, begin, end)
    except BrokenRecordError as error:
        return McapSummary(damages=[Damage(begin, size, f'a broken index: {error}')])


def checksum(stream: BinaryIO, length: int) -> int:
    """Returns the CRC-32 of the next bytes of a stream."""
    result = 0
    while length > 0 and (data := stream.read(min(length, 1 << 20))):
        result = zlib.crc32(data, result)
        length -= len(data)
    return result


def _parse(stream: BinaryIO, begin: int, end: int) -> McapSummary:
    summary = McapSummary()
    for record in walk(stream, begin, end):
        if isinstance(record, Damage):
            raise BrokenRecordError(record.reason)
        if record.opcode == Opcode.SCHEMA:
            schema = parse(Schema, record.content)
            summary.schemas[schema.id] = schema
        elif record.opcode == Opcode.CHANNEL:
            channel = parse(Channel, record.content)
            summary.channels[channel.id] = channel
        elif record.opcode == Opcode.CHUNK_INDEX:
            summary.chunks.append(parse(ChunkIndex, record.content))
        elif record.opcode == Opcode.STATISTICS:
            statistics = parse(Statistics, record.content)
            summary.stated, summary.counts = statistics.message_count, statistics.channel_message_counts
            summary.first, summary.last = statistics.message_start_time, statistics.message_end_time
            summary.chunk_count = statistics.chunk_count
    summary.chunks.sort(key=lambda chunk: chunk.chunk_start_offset)
    return summary
