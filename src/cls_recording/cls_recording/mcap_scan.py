"""Reads MCAP files whose end is missing or whose middle is damaged, as far as they go. No ROS here."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
import struct
from typing import BinaryIO
import zlib

from mcap.exceptions import EndOfFile, McapError
from mcap.records import (
    Attachment,
    Channel,
    Chunk,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    Metadata,
    Schema,
    Statistics,
)
from mcap.stream_reader import breakup_chunk, StreamReader
import zstandard

from cls_common.errors import UserError

from .bag import MCAP_MAGIC

# The metadata record by which a repaired file says what it lost: a repair that is cut off itself can say it again.
REPAIR_RECORD = 'cls.repair'
# Torn and overwritten bytes make mcap raise these; lz4 raises RuntimeError.
_BROKEN = (
    McapError, zstandard.ZstdError, zlib.error, struct.error, ArithmeticError, AssertionError, LookupError, MemoryError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


class _WholeReads:
    """A stream whose reads give all that was asked for: mcap takes a torn record's rest for the whole record."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise EndOfFile()
        return data


@dataclass
class Scan:
    """What an MCAP file holds that can be trusted.

    Attributes:
        path, size: of the file; size in bytes.
        whole: its index and end are there.
        ended: all its messages are there, and perhaps the index is not.
        lost_bytes: after the last whole record, and of damaged chunks.
        lost_chunks: damaged ones in the middle.
        stated: messages that its index counts; -1 without.
        nameless: messages whose channel is unknown, because it stood in a damaged chunk.
        earlier: bytes that a repair before this one dropped.
        compression: of the chunks: '', lz4 or zstd.
        start, end: log time, ns; 0 without messages.
        counts: messages by channel id.
    """

    path: Path
    size: int
    whole: bool = False
    ended: bool = False
    lost_bytes: int = 0
    lost_chunks: int = 0
    stated: int = -1
    nameless: int = 0
    earlier: int = 0
    compression: str = ''
    library: str = ''
    start: int = 0
    end: int = 0
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """How many messages can be trusted."""
        return self.counts.total()

    @property
    def sound(self) -> bool:
        """Whether there is nothing to repair."""
        # Bytes without a checksum that were overwritten may only look like fewer messages.
        return self.whole and not self.lost_bytes and self.stated == self.messages


def scan(path: Path) -> Scan:
    """Reads a whole file, checksums included, and returns what can be trusted.

    Raises:
        UserError: no MCAP file of ROS 2; unreadable.
    """
    found = Scan(path, path.stat().st_size)
    _check_beginning(path)
    unnamed: Counter[int] = Counter()
    for record in records(found):
        if isinstance(record, Header):
            _check_profile(path, record)
            found.library = record.library
        elif isinstance(record, Schema):
            found.schemas[record.id] = record
        elif isinstance(record, Channel):
            found.channels[record.id] = record
        elif isinstance(record, Metadata) and record.name == REPAIR_RECORD:
            found.earlier += int(record.metadata.get('lost_bytes', 0))
        elif isinstance(record, Message):
            unnamed[record.channel_id] += 1
            found.start = min(found.start or record.log_time, record.log_time)
            found.end = max(found.end, record.log_time)
    # An index, where there is one, repeats the channels of damaged chunks.
    found.channels = {
        channel.id: channel
        for channel in found.channels.values()
        if channel.schema_id == 0 or channel.schema_id in found.schemas
    }
    found.counts = Counter({channel: count for channel, count in unnamed.items() if channel in found.channels})
    found.nameless = unnamed.total() - found.counts.total()
    return found


def records(found: Scan) -> Iterator[McapRecord]:
    """Yields the records of `found.path` that are whole, messages among them, and notes in `found` what is lost."""
    found.whole = found.ended = False
    found.lost_bytes = found.lost_chunks = position = 0
    footer = False
    with found.path.open('rb') as stream:
        reader = StreamReader(_WholeReads(stream), emit_chunks=True, record_size_limit=found.size)  # type: ignore[arg-type]
        try:
            for record in reader.records:
                begun, position = position, stream.tell()
                if isinstance(record, Chunk):
                    found.compression = record.compression
                    yield from _contents(record, found, position - begun)
                elif isinstance(record, DataEnd):
                    found.ended = True
                elif isinstance(record, Statistics):
                    found.stated = record.message_count
                elif isinstance(record, Header | Schema | Channel | Message | Metadata | Attachment):
                    yield record
                footer = isinstance(record, Footer)
            found.whole = footer
        except _BROKEN:
            # What follows the data is an index, made anew from them.
            found.lost_bytes += 0 if found.ended else found.size - position


def _contents(chunk: Chunk, found: Scan, size: int) -> list[McapRecord]:
    try:
        return breakup_chunk(chunk, validate_crc=True)
    except _BROKEN:
        found.lost_bytes += size
        found.lost_chunks += 1
        return []


def _check_beginning(path: Path) -> None:
    with path.open('rb') as stream:
        head = stream.read(len(MCAP_MAGIC))
    # A loss of power may leave a file of zeros.
    if head != MCAP_MAGIC[: len(head)] and any(head):
        raise UserError(f'file {path}', expected='an MCAP file', found=f'bytes {head!r}')


def _check_profile(path: Path, header: Header) -> None:
    if header.profile not in ('ros2', ''):
        raise UserError(f'file {path}', expected='an MCAP file of ROS 2', found=f'profile {header.profile!r}')
