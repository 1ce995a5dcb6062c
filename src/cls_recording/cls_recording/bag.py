"""Reads the `metadata.yaml` of a rosbag2 folder and checks that its files are complete. Reads no messages."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
import fcntl
from pathlib import Path
import shlex
from typing import Any

import yaml

from cls_common.atomic_file import temporary_of
from cls_common.errors import UserError

from . import mcap_summary
from .session import SessionInfo

METADATA = 'metadata.yaml'
# What a recorder that was killed while it renewed the metadata leaves: this version, and earlier ones.
METADATA_RESTS = (temporary_of(Path(METADATA)).name, f'{METADATA}.new')
# Its only top-level key.
TOP = 'rosbag2_bagfile_information'
LOCK = 'lock'
# Appended to the name of a file that a repair replaced.
REPLACED = '.replaced'
# Of metadata.yaml, as Jazzy writes it.
VERSION = 9
_SUFFIXES = ('.mcap', '.db3', '.mcap.zstd', '.db3.zstd')


@dataclass(frozen=True)
class BagMetadata:
    """The parts of `metadata.yaml` that are used here.

    Attributes:
        storage: mcap or sqlite3.
        files: in order, names within the folder.
        start, duration: ns of log time.
        topics: type and count by full name.
        info: our custom data.
        content: everything below `TOP`.
    """

    storage: str
    files: tuple[str, ...]
    start: int
    duration: int
    message_count: int
    topics: Mapping[str, tuple[str, int]]
    info: SessionInfo
    content: Mapping[str, Any]

    @property
    def hashes(self) -> dict[str, str]:
        """Hash of the type by full topic name; empty where none is given."""
        listed = [entry['topic_metadata'] for entry in self.content['topics_with_message_count']]
        return {topic['name']: str(topic.get('type_description_hash') or '') for topic in listed}


class DamagedError(UserError):
    """A bag that has to be repaired before it can be read: by `repair`, or as described in `do`."""

    def __init__(self, path: Path, found: str, do: str = '') -> None:
        do = do or f'Try ./cls sessions repair {shlex.quote(str(path))}'
        super().__init__(f'session {path} is damaged', expected='a whole bag', found=found, do=do)


def is_session(path: Path) -> bool:
    """Whether a folder holds a bag, whole or not."""
    return path.is_dir() and ((path / METADATA).is_file() or bool(storage_files(path)))


def storage_files(path: Path, known: Collection[str] = ()) -> list[str]:
    """Returns the names of the files that hold messages, split by split.

    Args:
        known: those that the metadata name. Of a file and its compressed form only the known one counts, else the file.
    """
    found = {file.name for file in path.iterdir() if file.name.endswith(_SUFFIXES) and not file.name.startswith('.')}
    for name in [name for name in found if name.removesuffix('.zstd') != name]:
        plain = name.removesuffix('.zstd')
        if plain in found:
            found.remove(plain if name in known else name)
    return sorted(found, key=lambda name: (_split_number(name), name))


def size(path: Path) -> int:
    """Returns the bytes of everything in a folder."""
    return sum(file.stat().st_size for file in path.rglob('*') if file.is_file())


def _split_number(name: str) -> int:
    number = name.split('.', 1)[0].rpartition('_')[2]
    return int(number) if number.isdecimal() else 0


def is_being_recorded(path: Path) -> bool:
    """Whether a running recorder holds the session's lock."""
    try:
        with open(path / LOCK, 'rb') as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def has_end(file: Path) -> bool:
    """Whether an MCAP file has its end; true for other storages."""
    if file.suffix != '.mcap':
        return True
    with file.open('rb') as stream:
        return mcap_summary.read_footer(stream, file.stat().st_size) is not None


def read_metadata(path: Path) -> BagMetadata:
    """Reads a bag's `metadata.yaml`.

    Raises:
        UserError: not a bag, without metadata, unreadable, or written by a newer version.
    """
    file = path / METADATA
    if not path.is_dir():
        do = f'Give its folder: {path.parent}' if path.is_file() and path.name.endswith(_SUFFIXES) else ''
        found = 'a file' if path.exists() else 'nothing there'
        raise UserError(f'session {path}', expected='a rosbag2 folder', found=found, do=do)
    try:
        if not file.exists() and storage_files(path):
            raise DamagedError(path, f'no {METADATA}')
        content = yaml.load(file.read_text(encoding='utf-8'), getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    except FileNotFoundError as error:
        raise UserError(f'session {path}', expected=f'a rosbag2 folder with {METADATA}', found='none') from error
    except OSError as error:
        raise UserError(f'session {path}', expected='readable', found=str(error.strerror)) from error
    except DamagedError:
        raise
    except (ValueError, RecursionError, OverflowError, yaml.YAMLError) as error:
        raise DamagedError(path, f'{METADATA} that is no YAML') from error
    return _parse(path, content)


def _parse(path: Path, content: Any) -> BagMetadata:
    try:
        body = content[TOP]
        if int(body['version']) > VERSION:
            raise UserError(
                f'session {path}',
                expected=f'rosbag2 metadata of version {VERSION} or older',
                found=f'version {body["version"]}',
                do='It was recorded by a newer version: update this software.',
            )
        topics = {
            entry['topic_metadata']['name']: (str(entry['topic_metadata']['type']), int(entry['message_count']))
            for entry in body['topics_with_message_count']
        }
        return BagMetadata(
            storage=str(body['storage_identifier']),
            files=tuple(Path(name).name for name in body['relative_file_paths']),
            start=int(body['starting_time']['nanoseconds_since_epoch']),
            duration=int(body['duration']['nanoseconds']),
            message_count=int(body['message_count']),
            topics=topics,
            info=SessionInfo.from_custom_data(path.resolve().name, body.get('custom_data') or {}),
            content=body,
        )
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise DamagedError(path, f'{METADATA} without {error}') from error


def check_whole(path: Path, metadata: BagMetadata) -> None:
    """Raises UserError for a session that is being recorded, was cut off, or lacks files."""
    if is_being_recorded(path):
        raise UserError(f'session {path} is being recorded', do='Stop the recorder first.')
    present = storage_files(path, metadata.files)
    if missing := [name for name in metadata.files if not (path / name).is_file()]:
        raise DamagedError(path, f'no file {missing[0]}')
    if more := [name for name in present if name not in metadata.files]:
        raise DamagedError(path, f'file {more[0]} that {METADATA} does not name')
    try:
        cut = [name for name in metadata.files if not has_end(path / name)]
    except OSError as error:
        raise UserError(f'session {path}', expected='readable', found=str(error)) from error
    if cut:
        raise DamagedError(path, f'{cut[0]} without its end')
