"""What the files of a bag hold, as its metadata has to say it: counts, times and topics. No ROS here."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
import sqlite3
from typing import Any

from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from cls_common.errors import UserError

from .mcap_scan import Scan
from .metadata import FileCount, TopicEntry
from .schemas import Schema

# Where rosbag2's MCAP files keep what `metadata.yaml` says of a topic.
_QOS, _HASH = 'offered_qos_profiles', 'topic_type_hash'

Contents = tuple[FileCount, list[TopicEntry]]


def of_mcap(found: Scan) -> Contents:
    """Returns what a scanned MCAP file holds."""
    file = FileCount(found.path.name)
    topics = []
    for channel in found.channels.values():
        if count := found.counts[channel.id]:
            file.counts[channel.topic] = file.counts.get(channel.topic, 0) + count
        name = found.schemas[channel.schema_id].name if channel.schema_id else ''
        qos = dump_qos_v9(parse_qos(channel.metadata.get(_QOS, '')))
        topics.append(_entry(channel.topic, name, channel.metadata.get(_HASH, ''), qos))
    if file.counts:
        file.first, file.last = found.start, found.end
    return file, topics


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
    file = FileCount(path.name, {c.topic: c.msgcount for c in reader.connections if c.msgcount})
    if file.counts:
        file.first, file.last = reader.metadata.start_time, reader.metadata.end_time - 1
    topics = [_entry(c.topic, c.msgtype, c.digest, dump_qos_v9(getattr(c.ext, _QOS, []))) for c in reader.connections]
    reader.close()
    return file, topics


def merge(contents: Iterable[Iterable[TopicEntry]], hashes: Mapping[str, str]) -> list[TopicEntry]:
    """Returns each topic once, with the type hash known of it where its file says none."""
    merged: dict[str, TopicEntry] = {}
    for topics in contents:
        for topic in topics:
            known = topic.schema.hash or hashes.get(topic.name, '')
            entry = TopicEntry(topic.name, Schema(topic.schema.type, hash=known), topic.qos)
            merged.setdefault(topic.name, entry)
    return list(merged.values())


def _entry(name: str, type_name: str, type_hash: str, qos: Sequence[Mapping[str, Any]]) -> TopicEntry:
    return TopicEntry(name, Schema(type_name, hash=type_hash), tuple(qos))
