"""Checks a bag: which files it has, what is damaged in them, which topics can be read. No ROS here.

The only definition of a whole bag, used by list, info, replay, player, export and repair.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import shlex
import shutil
import sqlite3
import struct
import tempfile
from types import TracebackType

from backports import zstd
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

from cls_common.errors import UserError

from . import bag, mcap_scan, sqlite_file
from .bag import DamagedError
from .mcap_file import McapFile
from .mcap_walk import UnknownCompressionError
from .stored_file import StoredFile, StoredTopic

CDR = 'cdr'
ZSTD = '.zstd'
# The first bytes of a zstd frame. CDR begins with 0, so a compressed message is recognised without the metadata.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# Exceptions that parsers raise on damaged bytes.
PARSER_ERRORS = (
    zstd.ZstdError,
    sqlite3.Error,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    SerdeError,
    TypeError,
    TypesysError,
    ValueError,
)


@contextlib.contextmanager
def converting_errors(path: Path) -> Iterator[None]:
    """Converts the exceptions of parsers into one UserError that names the session."""
    try:
        yield
    except UserError:
        raise
    except UnknownCompressionError as error:
        raise unknown_compression(path, [str(error)]) from error
    except OSError as error:
        raise UserError(f'session {path}', expected='readable', found=str(error)) from error
    except PARSER_ERRORS as error:
        raise DamagedError(path, str(error) or repr(error)) from error


def unknown_compression(path: Path, names: Sequence[str]) -> UserError:
    """Returns the error for chunks that are whole but can't be read."""
    return UserError(
        f'session {path}',
        expected='chunks that are uncompressed or compressed by zstd or lz4',
        found=', '.join(map(repr, sorted(names))),
        do='Rewrite it with the tool that recorded it.',
    )


@dataclass
class CheckedBag:
    """A bag and its scanned files; close it, or use it in a `with`.

    Attributes:
        path: the session's folder.
        metadata: its `metadata.yaml`; None where it can't be read.
        names: of its files, in order. files: their contents, in the same order.
        found: its defects, one text each; empty: it is whole.
    """

    path: Path
    metadata: bag.BagMetadata | None
    names: tuple[str, ...] = ()
    files: list[StoredFile] = field(default_factory=list)
    found: tuple[str, ...] = ()
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def counts(self) -> Counter[str]:
        """Messages by full topic name."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(counts_of(file))
        return counts

    @property
    def unknown_compressions(self) -> set[str]:
        """Of chunks that are whole but can't be read."""
        return {name for file in self.files if isinstance(file, McapFile) for name in file.unknown_compressions}

    def types(self, file: StoredFile) -> dict[int, str]:
        """Returns the message type of each topic of a file, from the file or from the metadata."""
        known = self.metadata.topics if self.metadata else {}
        return {number: topic.type or known.get(topic.name, ('', 0))[0] for number, topic in file.topics.items()}

    def close(self) -> None:
        """Removes temporary uncompressed files."""
        self._stack.close()

    def __enter__(self) -> 'CheckedBag':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check(path: Path, *, thorough: bool) -> CheckedBag:
    """Returns the contents and defects of a bag; changes nothing on disk.

    Args:
        thorough: reads every byte; if false, chunks described by a whole index are skipped.

    Raises:
        UserError: no bag, of a newer version, no file or files of several kinds, files that can't be read.
    """
    metadata = _metadata(path)
    names = _in_order(path, metadata)
    checked = CheckedBag(path, metadata, tuple(names))
    try:
        with converting_errors(path):
            checked.files = [_scan_file(checked, path / name, thorough=thorough) for name in names]
        checked.found = (*_damages(checked), *_disagreement(checked))
    except BaseException:
        checked.close()
        raise
    return checked


def payload(data: bytes) -> bytes:
    """Returns a message's CDR, uncompressed where it is compressed; raises zstd's errors."""
    return zstd.decompress(data) if data[:4] == ZSTD_MAGIC else data


def unreadable(topic: StoredTopic, type_name: str) -> str:
    """Returns why a topic can't be read, empty where it can."""
    if topic.encoding not in (CDR, ''):
        return f'{topic.encoding} messages of type {type_name or "unknown"}, only {CDR} can be read'
    return '' if type_name else 'neither the bag nor its metadata give its type'


def counts_of(file: StoredFile) -> Counter[str]:
    """Returns a file's messages by full topic name."""
    counts: Counter[str] = Counter()
    for number, count in file.counts.items():
        if count:
            counts[file.topics[number].name] += count
    return counts


def _metadata(path: Path) -> bag.BagMetadata | None:
    try:
        return bag.read_metadata(path)
    except DamagedError:
        return None


def _in_order(path: Path, metadata: bag.BagMetadata | None) -> list[str]:
    known = metadata.files if metadata else ()
    present = bag.storage_files(path, known)
    names = [name for name in known if name in present]
    names += [name for name in present if name not in names]
    kinds = {Path(name.removesuffix(ZSTD)).suffix for name in names}
    if len(kinds) != 1:
        raise UserError(
            f'session {path}', expected='files of one kind, .mcap or .db3', found=', '.join(names) or 'none'
        )
    return names


def _scan_file(checked: CheckedBag, path: Path, *, thorough: bool) -> StoredFile:
    plain, cut = path, ''
    if path.name.endswith(ZSTD):
        plain, cut = _uncompress(checked, path)
    if plain.suffix != '.db3':
        return mcap_scan.scan(plain, thorough=thorough)
    for ending in ('-wal', '-journal'):
        rest = path.with_name(path.name + ending)
        if rest.exists() and rest.stat().st_size:
            raise UserError(
                f'file {path}',
                expected='a closed sqlite3 database',
                found=f'{rest.name} beside it',
                do=f'Let sqlite recover it: sqlite3 {shlex.quote(str(path))} "PRAGMA wal_checkpoint(TRUNCATE)"',
            )
    try:
        if cut:
            raise ValueError(cut)
        return sqlite_file.scan(plain, thorough=thorough)
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        raise DamagedError(
            checked.path,
            f'{path.name}: {str(error) or repr(error)}',
            do=f"It needs sqlite's own recovery: sqlite3 {shlex.quote(str(path))} .recover | sqlite3 NEW.db3",
        ) from error


def _uncompress(checked: CheckedBag, path: Path) -> tuple[Path, str]:
    """Uncompresses a file outside of the bag, as far as possible; returns its path, and why it ended early."""
    folder = checked._stack.enter_context(tempfile.TemporaryDirectory(prefix='cls-bag-'))
    plain = Path(folder, path.name.removesuffix(ZSTD))
    with path.open('rb') as packed, plain.open('wb') as output:
        try:
            with zstd.open(packed, 'rb') as stream:
                shutil.copyfileobj(stream, output)
        except (zstd.ZstdError, EOFError) as error:
            return plain, str(error)
    return plain, ''


def _damages(checked: CheckedBag) -> list[str]:
    return [
        f'{name} has {", ".join(map(str, file.damages))}'
        for name, file in zip(checked.names, checked.files)
        if file.damages
    ]


def _disagreement(checked: CheckedBag) -> list[str]:
    metadata = checked.metadata
    if metadata is None:
        return [f'no {bag.METADATA} to read']
    if missing := [
        name for name in metadata.files if name not in checked.names and not _has_other_form(name, checked.names)
    ]:
        return [f'{", ".join(missing)} is missing']
    if checked.unknown_compressions and checked.names == metadata.files:
        return []  # their messages can't be counted
    stated = {name: count for name, (_, count) in metadata.topics.items() if count}
    if checked.names != metadata.files or stated != checked.counts or metadata.message_count != sum(stated.values()):
        return [f'{bag.METADATA} was out of date']
    return []


def _has_other_form(name: str, names: Sequence[str]) -> bool:
    """Whether a file exists in its other form, compressed or not."""
    return (name.removesuffix(ZSTD) if name.endswith(ZSTD) else name + ZSTD) in names


def is_mcap(files: Sequence[StoredFile]) -> bool:
    """Whether the files of a bag are MCAP files."""
    return isinstance(files[0], McapFile)


def schemas_of(files: Sequence[StoredFile], types: Sequence[Mapping[int, str]]) -> dict[str, tuple[str, str]]:
    """Returns encoding and text of each type that the files define, from the first file that does."""
    schemas: dict[str, tuple[str, str]] = {}
    for file, names in zip(files, types):
        for number, topic in file.topics.items():
            if topic.definition and names[number]:
                schemas.setdefault(names[number], (topic.schema_encoding, topic.definition))
    return schemas
