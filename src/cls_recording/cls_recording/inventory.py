"""What the files of a bag hold, as its metadata has to say it: counts, times and topics. No ROS here."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
import sqlite3

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from cls_common.errors import UserError

from .mcap_scan import Scan
from .metadata_file import FileEntry, TopicEntry

# Where rosbag2's MCAP files keep what `metadata.yaml` says of a topic.
_QOS, _HASH = 'offered_qos_profiles', 'topic_type_hash'

Contents = tuple[FileEntry, list[TopicEntry]]


def of_mcap(found: Scan) -> Contents:
    """Returns what a scanned MCAP file holds."""
    topics = [
        TopicEntry(
            name=channel.topic, type=found.schemas[channel.schema_id].name if channel.schema_id else '',
            messages=found.counts[channel.id], qos=dump_qos_v9(parse_qos(channel.metadata.get(_QOS, ''))),
            hash=channel.metadata.get(_HASH, ''),
        )
        for channel in found.channels.values()
    ]  # fmt: skip
    return FileEntry(found.path.name, found.start, found.end, found.messages), topics


def of_sqlite(path: Path) -> Contents:
    """Returns what a sqlite3 file holds.

    Raises:
        UserError: sqlite has to recover it first.
    """
    for ending in ('-wal', '-journal'):
        rest = path.with_name(path.name + ending)
        if rest.exists() and rest.stat().st_size:
            raise UserError(
                f'file {path}', expected='a closed sqlite3 database', found=f'{rest.name} beside it',
                do=f'Let sqlite recover it: sqlite3 {path} "PRAGMA wal_checkpoint(TRUNCATE)"',
            )  # fmt: skip
    reader = Sqlite3Reader(path)
    try:
        with sqlite3.connect(f'file:{path}?mode=ro', uri=True) as database:
            ((verdict,),) = database.execute('PRAGMA quick_check(1)').fetchall()
        if verdict != 'ok':
            raise sqlite3.DatabaseError(verdict)
        reader.open()
    except (sqlite3.Error, ReaderError, ValueError) as error:
        raise UserError(
            f'file {path}', expected='a whole sqlite3 database', found=str(error),
            do=f'It needs sqlite\'s own recovery: sqlite3 {path} .recover | sqlite3 NEW.db3',
        ) from error  # fmt: skip
    held = reader.metadata
    topics = [
        TopicEntry(c.topic, c.msgtype, c.msgcount, dump_qos_v9(getattr(c.ext, _QOS, [])), c.digest)
        for c in reader.connections
    ]
    reader.close()
    start, end = (held.start_time, held.end_time - 1) if held.message_count else (0, 0)
    return FileEntry(path.name, start, end, held.message_count), topics


def merge(contents: Iterable[Sequence[TopicEntry]]) -> list[TopicEntry]:
    """Returns each topic once, its messages in all files added up."""
    merged: dict[str, TopicEntry] = {}
    for topics in contents:
        for topic in topics:
            known = merged.get(topic.name)
            merged[topic.name] = replace(known, messages=known.messages + topic.messages) if known else topic
    return list(merged.values())
