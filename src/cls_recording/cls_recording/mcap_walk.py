"""Iterates over MCAP records and the damaged bytes between them. No ROS here."""

from collections.abc import Iterator, Mapping, Sequence
import io
import struct
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Chunk
from mcap.stream_reader import CRCValidationError, get_chunk_data_stream
import zstandard

from .stored_file import Damage, StoredMessage

_HEAD = struct.Struct('<BQ')
_MESSAGE = struct.Struct('<HIQQ')
COMPRESSIONS = ('', 'lz4', 'zstd')
# Torn and overwritten bytes make mcap, zstd and lz4 (RuntimeError) raise these.
_BROKEN = (
    McapError,
    zstandard.ZstdError,
    struct.error,
    ArithmeticError,
    AssertionError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
R = TypeVar('R')


class McapRecord(NamedTuple):
    """One record: opcode, offsets of its first byte and of the byte behind it, and content."""

    opcode: int
    begin: int
    end: int
    content: bytes


class BrokenRecordError(ValueError):
    """The content of a record is invalid."""


class UnknownCompressionError(ValueError):
    """A chunk is whole, but of an unsupported compression."""


def walk(
    stream: BinaryIO, begin: int, end: int, anchors: Sequence[int] = (), skip: Mapping[int, int] = MappingProxyType({})
) -> Iterator[McapRecord | Damage]:
    """Yields the records between two offsets.

    Args:
        anchors: rising offsets at which a record is known to begin. Where bytes are no record, the walk continues at
            the next one.
        skip: offset of a record -> offset at which to continue instead of reading it.
    """
    position = begin
    while position < end:
        if position in skip:
            position = skip[position]
            continue
        record = _record(stream, position, end)
        if isinstance(record, McapRecord):
            yield record
            position = record.end
        else:
            after = next((anchor for anchor in anchors if position < anchor < end), end)
            yield Damage(position, after, record)
            position = after


def _record(stream: BinaryIO, position: int, end: int) -> McapRecord | str:
    stream.seek(position)
    head = stream.read(min(_HEAD.size, end - position))
    if len(head) == _HEAD.size:
        opcode, length = _HEAD.unpack(head)
        if opcode == 0:
            return 'bytes that are no record'
        if length <= end - position - _HEAD.size:
            return McapRecord(opcode, position, position + _HEAD.size + length, stream.read(length))
    return 'a record that is cut off'


class _Whole(io.BytesIO):
    """Reads exactly the number of bytes requested: mcap accepts a truncated record otherwise."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EOFError
        return data


def parse(kind: type[R], content: bytes) -> R:
    """Returns one of mcap's records; bytes behind its fields are padding, which the format allows.

    Raises:
        BrokenRecordError: it has not all its fields.
    """
    try:
        record: R = kind.read(ReadDataStream(_Whole(content)))  # type: ignore[attr-defined]
    except _BROKEN as error:
        raise BrokenRecordError(f'a broken {kind.__name__} record') from error
    return record


def parse_message(content: bytes) -> StoredMessage:
    """Returns a message record; raises BrokenRecordError where it is too short."""
    try:
        channel, sequence, time, publish = _MESSAGE.unpack_from(content)
    except struct.error as error:
        raise BrokenRecordError('a broken Message record') from error
    return StoredMessage(channel, time, publish, sequence, content[_MESSAGE.size :])


def unpack(content: bytes) -> tuple[Chunk, bytes]:
    """Returns a chunk record and its uncompressed content.

    Raises:
        BrokenRecordError: it can't be uncompressed, or its checksum is wrong.
        UnknownCompressionError: neither zstd nor lz4 nor none.
    """
    chunk = parse(Chunk, content)
    if chunk.compression not in COMPRESSIONS:
        raise UnknownCompressionError(chunk.compression)
    data: Any
    try:
        data, length = get_chunk_data_stream(chunk, validate_crc=True)
        if length != chunk.uncompressed_size:
            raise BrokenRecordError('a chunk of another size than stated')
        return chunk, data.read(length)
    except CRCValidationError as error:
        raise BrokenRecordError('a chunk with a wrong checksum') from error
    except _BROKEN as error:
        raise BrokenRecordError('a chunk that can not be uncompressed') from error
