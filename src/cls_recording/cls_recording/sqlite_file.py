"""Checks one sqlite3 file of a bag and reads its messages; changes no byte of it. No ROS here."""

from collections import Counter
from collections.abc import Collection, Iterator
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import sqlite3
from urllib.parse import quote

from .stored_file import Damage, StoredMessage, StoredTopic


@dataclass
class SqliteFile:
    """Contents of a sqlite3 file.

    Attributes:
        path: of the file. damages: none, sqlite reports only whether a file is whole.
        topics: by id. counts: messages by id of their topic. first, last: log time, ns; 0 without messages.
    """

    path: Path
    damages: tuple[Damage, ...] = ()
    topics: dict[int, StoredTopic] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    first: int = 0
    last: int = 0

    def read(
        self, channels: Collection[int], start: int | None = None, *, by_time: bool = True
    ) -> Iterator[StoredMessage]:
        """Yields messages of some topics from a log time on, by log time or as written; raises sqlite3.Error."""
        wanted = ','.join(str(int(topic)) for topic in channels)
        query = f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({wanted})'
        query += '' if start is None else f' AND timestamp >= {int(start)}'
        with contextlib.closing(_open(self.path)) as database:
            for topic, time, data in database.execute(
                query + (' ORDER BY timestamp, id' if by_time else ' ORDER BY id')
            ):
                yield StoredMessage(topic, time, time, 0, bytes(data))


def scan(path: Path, *, thorough: bool) -> SqliteFile:
    """Returns the contents of a file.

    Args:
        thorough: checks every page; if false, only the tables.

    Raises:
        sqlite3.Error, ValueError, TypeError: it is damaged.
    """
    with contextlib.closing(_open(path)) as database:
        if thorough:
            ((verdict,),) = database.execute('PRAGMA quick_check(1)').fetchall()
            if verdict != 'ok':
                raise sqlite3.DatabaseError(verdict)
        return _look(path, database)


def _open(path: Path) -> sqlite3.Connection:
    # Immutable: sqlite writes nothing beside it, not even a lock.
    return sqlite3.connect(f'file:{quote(str(path.absolute()))}?mode=ro&immutable=1', uri=True)


def _look(path: Path, database: sqlite3.Connection) -> SqliteFile:
    file = SqliteFile(path)
    definitions = {}
    if _columns(database, 'message_definitions'):
        definitions = {
            name: (encoding, text)
            for name, encoding, text in database.execute(
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
            )
        }
    # Older versions of rosbag2 have fewer columns.
    columns = _columns(database, 'topics')
    optional = [name if name in columns else "''" for name in ('offered_qos_profiles', 'type_description_hash')]
    query = f'SELECT id, name, type, serialization_format, {", ".join(optional)} FROM topics ORDER BY id'
    for number, *texts in database.execute(query):
        name, kind, encoding, qos, digest = (str(text) if text is not None else '' for text in texts)
        file.topics[int(number)] = StoredTopic(name, kind, encoding, qos, digest, *definitions.get(kind, ('', '')))
    query = 'SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages GROUP BY topic_id'
    spans = [row for row in database.execute(query) if row[0] in file.topics]
    file.counts = Counter({int(number): int(count) for number, count, _, _ in spans})
    if spans:
        file.first, file.last = min(int(first) for _, _, first, _ in spans), max(int(last) for *_, last in spans)
    return file


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {name for _, name, *_ in database.execute(f'PRAGMA table_info({table})')}
