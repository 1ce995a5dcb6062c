"""Common interface of a bag's files, independent of their storage. No ROS here."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class StoredMessage(NamedTuple):
    """One message: id of its channel or topic, log and publish time in ns, sequence, and payload as it is stored."""

    channel: int
    time: int
    publish: int
    sequence: int
    data: bytes


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that can't be trusted, from `begin` up to `end`, and why."""

    begin: int
    end: int
    reason: str

    def __str__(self) -> str:
        return f'{self.reason} (bytes {self.begin} to {self.end})' if self.begin < self.end else self.reason


@dataclass(frozen=True)
class StoredTopic:
    """A file's description of a topic.

    Attributes:
        name, type: full name, message type. encoding: of the messages, such as 'cdr'.
        qos: YAML of the offered quality of service. hash: of the type.
        schema_encoding, definition: of the type. Texts are empty where the file has none.
    """

    name: str
    type: str
    encoding: str
    qos: str = ''
    hash: str = ''
    schema_encoding: str = ''
    definition: str = ''


class StoredFile(Protocol):
    """One scanned file.

    Attributes:
        path: of the uncompressed file. damages: bytes that can't be trusted; empty: it is whole.
        topics: by id. counts: messages by id. first, last: log time, ns; 0 without messages.
    """

    path: Path
    counts: Counter[int]
    first: int
    last: int

    @property
    def damages(self) -> Sequence[Damage]: ...
    @property
    def topics(self) -> Mapping[int, StoredTopic]: ...
    def read(
        self, channels: Collection[int], start: int | None = None, *, by_time: bool = True
    ) -> Iterator[StoredMessage]:
        """Yields messages of some topics from a log time on, by log time or in the order in which they were written."""
        ...
