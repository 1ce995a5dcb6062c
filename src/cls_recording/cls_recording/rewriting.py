"""Rewrites an MCAP file from the records that can be trusted, and keeps the original. No ROS here."""

import contextlib
import os
from pathlib import Path
import shutil
from typing import Any, BinaryIO

from mcap.opcode import Opcode
from mcap.records import Attachment, Metadata
from mcap.writer import CompressionType, Writer

from cls_common import atomic_file
from cls_common.errors import UserError

from . import bag, mcap_scan
from .bag_check import counts_of, unknown_compression
from .mcap_file import McapFile, REPAIR_RECORD
from .mcap_walk import BrokenRecordError, parse, parse_message

_COMPRESSIONS = {'': CompressionType.NONE, 'lz4': CompressionType.LZ4, 'zstd': CompressionType.ZSTD}


def rewrite(found: McapFile, original: Path) -> McapFile:
    """Replaces a damaged file by a whole one with the same messages, once that is synced and was read back.

    Args:
        found: the scanned file. original: the file of the bag; differs if `found` was uncompressed from it.

    Returns:
        what the new file holds; the replaced one stands beside it.

    Raises:
        UserError: no room, or not what was written came back; the file is as it was.
    """
    if found.unknown_compressions:
        raise unknown_compression(original.parent, sorted(found.unknown_compressions))
    target = original.with_name(found.path.name)
    beside = atomic_file.temporary_of(target)
    try:
        with beside.open('wb') as stream:
            shutil.copymode(original, beside)
            _copy(found, stream)
        atomic_file.sync(beside)
        new = mcap_scan.scan(beside, thorough=True)
        if new.damages or counts_of(new) != counts_of(found):
            raise UserError(f'file {beside}', expected='its messages', found='something else', do='Check the disk.')
        keep(original)
        atomic_file.publish(beside, target)
        if target != original:
            original.unlink()
    except OSError as error:
        raise UserError(f'repair of {original}', expected='room beside it', found=str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    new.path = target
    return new


def keep(original: Path) -> None:
    """Keeps a file under another name before it is replaced; a copy that exists already is left."""
    number = 1
    while True:
        kept = original.with_name(original.name + bag.REPLACED + (f'.{number}' if number > 1 else ''))
        if not kept.exists():
            break
        if kept.samefile(original):
            return
        number += 1
    try:
        os.link(original, kept)
    except OSError:
        # No hard links on this file system: a copy, renamed when complete.
        partial = atomic_file.temporary_of(kept)
        try:
            shutil.copy2(original, partial)
            atomic_file.publish(partial, kept)
        finally:
            partial.unlink(missing_ok=True)


def _copy(found: McapFile, stream: BinaryIO) -> None:
    writer = Writer(stream, compression=_COMPRESSIONS[found.compression])
    writer.start(found.profile or 'ros2', found.library)
    schemas = {0: 0}
    for schema in found.schemas.values():
        schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
    channels = {
        channel.id: writer.register_channel(
            channel.topic, channel.message_encoding, schemas[channel.schema_id], channel.metadata
        )
        for channel in found.channels.values()
    }
    with found.path.open('rb') as source:
        for record, _ in found.records(source, [], {}):
            with contextlib.suppress(BrokenRecordError):
                if record.opcode == Opcode.MESSAGE:
                    message = parse_message(record.content)
                    if message.channel in channels:
                        writer.add_message(
                            channels[message.channel], message.time, message.data, message.publish, message.sequence
                        )
                else:
                    _copy_other(writer, record.opcode, record.content)
    writer.add_metadata(REPAIR_RECORD, {'lost_bytes': str(found.lost_bytes + found.earlier)})
    writer.finish()  # type: ignore[no-untyped-call]


def _copy_other(writer: Any, opcode: int, content: bytes) -> None:
    if opcode == Opcode.METADATA:
        about = parse(Metadata, content)
        if about.name != REPAIR_RECORD:
            writer.add_metadata(about.name, about.metadata)
    elif opcode == Opcode.ATTACHMENT:
        a = parse(Attachment, content)
        writer.add_attachment(a.create_time, a.log_time, a.name, a.media_type, a.data)
