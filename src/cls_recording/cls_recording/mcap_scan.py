"""Scans one MCAP file: its readable messages and its damaged bytes. No ROS here.

Every legal file is whole: with or without chunks, index, checksums, message indexes, repeated schemas and channels,
with padded records, in any order. Only bytes that contradict the format, a checksum or an index are damaged.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Header, Metadata, Schema

from cls_common.errors import UserError

from . import mcap_summary
from .mcap_file import Block, McapFile, REPAIR_RECORD
from .mcap_summary import MAGIC, McapSummary
from .mcap_walk import BrokenRecordError, COMPRESSIONS, McapRecord, parse, parse_message, walk
from .stored_file import Damage, StoredMessage

# Messages outside of chunks are read in runs of this many bytes.
_RUN_BYTES = 1 << 20


def scan(path: Path, *, thorough: bool) -> McapFile:
    """Returns the contents of a file.

    Args:
        thorough: reads every byte; if false, chunks described by a whole index are skipped.

    Raises:
        UserError: no MCAP file.
        OSError: it can't be read.
    """
    file = McapFile(path, path.stat().st_size)
    with path.open('rb') as stream:
        if not _has_beginning(path, stream):
            file.damages = [Damage(0, file.size, 'no content' if not file.size else 'no beginning')]
            file.lost_bytes = file.size
            return file
        summary = mcap_summary.read(stream, file.size)
        file.damages += summary.damages
        _adopt(file, summary)
        is_indexed = not thorough and summary.is_sufficient
        skip = {}
        if is_indexed:
            skip = {c.chunk_start_offset: c.chunk_start_offset + c.chunk_length for c in summary.chunks}
        _scan(file, stream, skip)
        if thorough and not file.damages:
            file.damages += _checksum(stream, file.size)
        if not file.damages and summary.is_sufficient:
            file.counts = Counter(summary.counts)
            file.first, file.last = summary.first, summary.last
        if is_indexed:
            file.blocks += [
                Block(
                    c.chunk_start_offset,
                    c.chunk_start_offset + c.chunk_length,
                    True,
                    c.message_start_time,
                    c.message_end_time,
                    frozenset(c.message_index_offsets) or None,
                )
                for c in summary.chunks
            ]
            file.blocks.sort(key=lambda block: block.begin)
    _finish(file)
    return file


def _adopt(file: McapFile, summary: McapSummary) -> None:
    # An index repeats the schemas and channels of damaged chunks.
    file.schemas.update(summary.schemas)
    file.channels.update(summary.channels)
    file.stated, file.has_index = summary.stated, summary.is_there
    file.unknown_compressions = {chunk.compression for chunk in summary.chunks} - set(COMPRESSIONS)
    file._anchors = sorted(chunk.chunk_start_offset for chunk in summary.chunks)


def _scan(file: McapFile, stream: BinaryIO, skip: Mapping[int, int]) -> None:
    """Collects all records except the messages of skipped chunks."""
    damages: list[Damage] = []
    taken: list[tuple[McapRecord, bool, StoredMessage]] = []

    def close() -> None:
        """Makes a block of the messages that were taken last."""
        if taken:
            times = [message.time for _, _, message in taken]
            begin, end = taken[0][0].begin, taken[-1][0].end
            channels = frozenset(message.channel for _, _, message in taken)
            file.blocks.append(Block(begin, end, taken[0][1], min(times), max(times), channels))
            taken.clear()

    for record, chunk in file.records(stream, damages, skip):
        place = chunk or record
        if taken and (chunk is not None or taken[0][1]) and taken[-1][0] is not place:
            close()
        try:
            if record.opcode == Opcode.MESSAGE:
                message = parse_message(record.content)
                if taken and not taken[0][1] and record.end - taken[0][0].begin > _RUN_BYTES:
                    close()
                taken.append((place, chunk is not None, message))
                file.counts[message.channel] += 1
            else:
                _take(file, record)
        except BrokenRecordError as error:
            damages.append(Damage(place.begin, place.end, str(error)))
    close()
    if not file.is_ended:
        torn = damages.pop() if damages and damages[-1].end == file.size else None
        damages.append(Damage(torn.begin if torn else file.size, file.size, 'no end'))
    file.lost_bytes = sum(damage.end - damage.begin for damage in damages)
    file.damages = damages + (file.damages if file.is_ended else [])
    if file.blocks:
        file.first, file.last = min(b.first for b in file.blocks), max(b.last for b in file.blocks)


def _take(file: McapFile, record: McapRecord) -> None:
    if record.opcode == Opcode.SCHEMA:
        schema = parse(Schema, record.content)
        file.schemas[schema.id] = schema
    elif record.opcode == Opcode.CHANNEL:
        channel = parse(Channel, record.content)
        file.channels[channel.id] = channel
    elif record.opcode == Opcode.HEADER:
        header = parse(Header, record.content)
        file.profile, file.library = header.profile, header.library
    elif record.opcode == Opcode.METADATA:
        about = parse(Metadata, record.content)
        if about.name == REPAIR_RECORD and about.metadata.get('lost_bytes', '').isdecimal():
            file.earlier += int(about.metadata['lost_bytes'])
    elif record.opcode == Opcode.DATA_END:
        file.is_ended = True


def _finish(file: McapFile) -> None:
    """Drops what can't be read: channels without their schema, messages without their channel."""
    file.channels = {
        channel.id: channel
        for channel in file.channels.values()
        if channel.schema_id == 0 or channel.schema_id in file.schemas
    }
    counts = Counter({channel: count for channel, count in file.counts.items() if count and channel in file.channels})
    file.nameless = file.counts.total() - counts.total()
    file.counts = counts


def _checksum(stream: BinaryIO, size: int) -> list[Damage]:
    """Returns the damage if the checksum of all data is wrong and the wrong bytes are unknown."""
    for record in walk(stream, len(MAGIC), size):
        if isinstance(record, McapRecord) and record.opcode == Opcode.DATA_END:
            expected = parse(DataEnd, record.content).data_section_crc
            stream.seek(0)
            if expected and mcap_summary.checksum(stream, record.begin) != expected:
                return [Damage(0, record.begin, 'a wrong checksum of all data, so that a message may be changed')]
    return []


def _has_beginning(path: Path, stream: BinaryIO) -> bool:
    head = stream.read(len(MAGIC))
    # A loss of power may leave a file of zeros.
    if head != MAGIC[: len(head)] and any(head):
        raise UserError(f'file {path}', expected='an MCAP file', found=f'bytes {head!r}')
    return head == MAGIC
