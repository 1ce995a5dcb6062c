"""MCAP files in all legal forms, and in some illegal ones."""

from collections.abc import Iterable
import io
from pathlib import Path
import struct
from typing import Any, NamedTuple
import zlib

from mcap.writer import CompressionType, IndexType, Writer

from cls_recording.definitions import installed

MAGIC = b'\x89MCAP0\r\n'
# Legal forms that mcap's own writer makes, by its options.
OPTIONS: dict[str, dict[str, Any]] = {
    'plain': {},
    'without chunks': {'use_chunking': False},
    'small chunks': {'chunk_size': 2000},
    'zstd': {'compression': CompressionType.ZSTD},
    'lz4': {'compression': CompressionType.LZ4},
    'without message index': {'index_types': IndexType.CHUNK | IndexType.METADATA},
    'without chunk index': {'index_types': IndexType.MESSAGE},
    'without statistics': {'use_statistics': False},
    'channels not repeated': {'repeat_channels': False},
    'schemas not repeated': {'repeat_schemas': False},
    'without summary offsets': {'use_summary_offsets': False},
    'without checksums': {'enable_crcs': False},
    'checksum of all data': {'enable_data_crcs': True, 'use_chunking': False},
}


class Entry(NamedTuple):
    """A message to write: log time in ns, topic, type, CDR."""

    time: int
    topic: str
    type: str
    data: bytes


def entries(said: Iterable[tuple[int, str, Any]]) -> list[Entry]:
    """Returns messages as they are stored."""
    store = installed()
    return [Entry(t, topic, m.__msgtype__, bytes(store.serialize_cdr(m, m.__msgtype__))) for t, topic, m in said]


def write(
    file: Path,
    messages: Iterable[Entry],
    *,
    profile: str = 'ros2',
    qos: str = '',
    encoding: str = 'cdr',
    twice: bool = False,
    schemas: bool = True,
    **options: Any,
) -> None:
    """Writes a file with mcap's writer.

    Args:
        encoding: of the messages of '/foreign'. twice: each topic has two channels, used in turn.
        schemas: False: channels have schema id 0.
    """
    store = installed()
    with file.open('wb') as stream:
        writer = Writer(stream, **({'compression': CompressionType.NONE} | options))
        writer.start(profile, 'variants')
        channels: dict[tuple[str, int], int] = {}
        for number, message in enumerate(messages):
            key = (message.topic, number % 2 if twice else 0)
            if key not in channels:
                text = store.generate_msgdef(message.type, ros_version=2)[0].encode()
                schema = writer.register_schema(message.type, 'ros2msg', text) if schemas else 0
                kind = encoding if message.topic == '/foreign' else 'cdr'
                channels[key] = writer.register_channel(message.topic, kind, schema, {'offered_qos_profiles': qos})
            writer.add_message(channels[key], message.time, message.data, message.time, number)
        writer.finish()


def record(opcode: int, content: bytes, padding: int = 0) -> bytes:
    """Returns a record with padding after its fields, in bytes."""
    return struct.pack('<BQ', opcode, len(content) + padding) + content + bytes(padding)


def text(value: str) -> bytes:
    return struct.pack('<I', len(value.encode())) + value.encode()


def write_by_hand(
    file: Path,
    messages: list[Entry],
    *,
    padding: int = 0,
    compression: str = '',
    private: bool = False,
    checksum: bool = True,
) -> None:
    """Writes one chunk with its index, record by record: padded ones, a private one, any name of a compression."""
    store, channels, content = installed(), dict[str, int](), io.BytesIO()
    for message in messages:
        if message.topic not in channels:
            number = channels[message.topic] = len(channels) + 1
            definition = store.generate_msgdef(message.type, ros_version=2)[0]
            schema = struct.pack('<H', number) + text(message.type) + text('ros2msg') + text(definition)
            content.write(record(3, schema, padding))
            channel = struct.pack('<HH', number, number) + text(message.topic) + text('cdr') + struct.pack('<I', 0)
            content.write(record(4, channel, padding))
            if private:
                content.write(record(0x90, b'of someone else'))
        head = struct.pack('<HIQQ', channels[message.topic], 0, message.time, message.time)
        content.write(record(5, head + message.data))
    data = content.getvalue()
    first, last = min(m.time for m in messages), max(m.time for m in messages)
    crc = zlib.crc32(data) if checksum else 0
    span = struct.pack('<QQ', first, last)
    chunk = span + struct.pack('<QI', len(data), crc) + text(compression) + struct.pack('<Q', len(data)) + data
    begin = MAGIC + record(1, text('ros2') + text('by hand'), padding)
    body = begin + record(6, chunk, padding) + record(0x0F, struct.pack('<I', 0), padding)
    counts = b''.join(
        struct.pack('<HQ', number, sum(m.topic == topic for m in messages)) for topic, number in channels.items()
    )
    statistics = struct.pack('<QHIIII', len(messages), len(channels), len(channels), 0, 0, 1) + span
    index = span + struct.pack('<QQ', len(begin), 9 + len(chunk) + padding) + struct.pack('<IQ', 0, 0)
    index += text(compression) + struct.pack('<QQ', len(data), len(data))
    summary = record(0x0B, statistics + struct.pack('<I', len(counts)) + counts, padding) + record(8, index, padding)
    end = record(2, struct.pack('<QQI', len(body), 0, 0))
    file.write_bytes(body + summary + end + MAGIC)
