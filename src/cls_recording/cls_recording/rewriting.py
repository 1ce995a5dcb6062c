"""Writes an MCAP file anew from what can be trusted of it, and puts it in its place. No ROS here."""

import os
import shutil
from typing import BinaryIO

from mcap.records import Attachment, Message, Metadata
from mcap.writer import CompressionType, Writer

from cls_common.errors import UserError

from . import mcap_scan
from .mcap_scan import REPAIR_RECORD, Scan
from .metadata import sync_folder

_COMPRESSIONS = {'': CompressionType.NONE, 'lz4': CompressionType.LZ4, 'zstd': CompressionType.ZSTD}


def rewrite(found: Scan) -> Scan:
    """Replaces a file by a whole one with the same messages, once that is synced and was read back.

    Returns:
        what the new file holds.

    Raises:
        UserError: no room, or not what was written came back; the file is as it was.
    """
    beside = found.path.with_name(f'.{found.path.name}.new')
    try:
        with beside.open('wb') as stream:
            shutil.copymode(found.path, beside)
            _copy(found, stream)
            stream.flush()
            os.fsync(stream.fileno())
        new = mcap_scan.scan(beside)
        if not new.sound or _by_topic(new) != _by_topic(found):
            raise UserError(f'file {beside}', expected='what was written', found='something else', do='Check the disk.')
        beside.replace(found.path)
        sync_folder(found.path.parent)
    except OSError as error:
        raise UserError(f'repair of {found.path}', expected='room beside it', found=str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    new.path = found.path
    return new


def _copy(found: Scan, stream: BinaryIO) -> None:
    writer = Writer(stream, compression=_COMPRESSIONS.get(found.compression, CompressionType.NONE))
    writer.start('ros2', found.library)
    schemas = {0: 0}
    for schema in found.schemas.values():
        schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
    channels = {
        channel.id: writer.register_channel(
            channel.topic, channel.message_encoding, schemas[channel.schema_id], channel.metadata
        )
        for channel in found.channels.values()
    }
    for record in mcap_scan.records(found):
        if isinstance(record, Message) and record.channel_id in channels:
            writer.add_message(
                channels[record.channel_id], record.log_time, record.data, record.publish_time, record.sequence
            )
        elif isinstance(record, Metadata) and record.name != REPAIR_RECORD:
            writer.add_metadata(record.name, record.metadata)
        elif isinstance(record, Attachment):
            writer.add_attachment(record.create_time, record.log_time, record.name, record.media_type, record.data)
    writer.add_metadata(REPAIR_RECORD, {'lost_bytes': str(found.lost_bytes + found.earlier)})
    writer.finish()  # type: ignore[no-untyped-call]


def _by_topic(found: Scan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for channel, count in found.counts.items():
        topic = found.channels[channel].topic
        counts[topic] = counts.get(topic, 0) + count
    return counts
