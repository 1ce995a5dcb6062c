"""Repairs a session whose recording was interrupted, and reports the losses. No ROS here."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import Any

from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from cls_common import comms
from cls_common.errors import UserError
from cls_common.file_lock import try_lock
from cls_common.robot import from_message

from . import bag, bag_check, metadata
from .bag_check import CheckedBag, converting_errors, counts_of
from .definitions import Definitions
from .mcap_file import McapFile
from .metadata import FileCount, TopicEntry
from .rewriting import keep, rewrite
from .schemas import Schema
from .session import SessionInfo
from .stored_file import StoredFile
from .writer import RESERVE

# Files that a killed recorder leaves beside its messages.
_RESTS = (bag.LOCK, RESERVE, *bag.METADATA_RESTS)


@dataclass(frozen=True)
class Repair:
    """Result of a repair.

    Attributes:
        path: of the session.
        found: defects, one text each; empty: nothing to repair.
        messages: in the session now, by full topic name.
        lost_bytes: after the last whole record and of damaged chunks: an estimate, an index may be among them.
        last: log time of the last message, ns; 0: there is none.
        kept: names of the files that repairs of this session replaced.
    """

    path: Path
    found: tuple[str, ...] = ()
    messages: Mapping[str, int] = field(default_factory=dict)
    lost_bytes: int = 0
    last: int = 0
    kept: tuple[str, ...] = ()


def repair(path: Path) -> Repair:
    """Repairs a session; whole files are not changed.

    A file is replaced only if damaged bytes were found in it or it has no index, once its repaired copy is synced;
    the original stays beside it, its name ending in `.replaced`. An interrupted repair can be repeated.

    Raises:
        UserError: no bag, being recorded, by a newer version, no room, or sqlite's own recovery is needed.
    """
    try:
        with _locked(path):
            done = _repair(path)
            for rest in _RESTS:
                (path / rest).unlink(missing_ok=True)
            return done
    except OSError as error:
        raise UserError(f'repair of {path}', expected='a folder to write to', found=str(error)) from error


def _repair(path: Path) -> Repair:
    with bag_check.check(path, thorough=True) as checked:
        messages, last = dict(checked.counts), max(file.last for file in checked.files)
        found = (*checked.found, *_unindexed(checked))
        if not found:
            return Repair(path, (), messages, 0, last)
        names = list(checked.names)
        scans = [file for file in checked.files if isinstance(file, McapFile)]
        for place, (name, file) in enumerate(zip(checked.names, list(checked.files))):
            if isinstance(file, McapFile) and (file.damages or not (file.has_index or file.unknown_compressions)):
                new = rewrite(file, path / name)
                names[place], checked.files[place] = new.path.name, new
        known = bool(checked.metadata and checked.metadata.info.repaired)
        lost = sum(file.lost_bytes + (0 if known else file.earlier) for file in scans)
        _describe(checked, names, f'{", ".join(found)}: about {lost} bytes lost')
        kept = sorted(file.name for file in path.glob(f'*{bag.REPLACED}*'))
        return Repair(path, found, messages, lost, last, tuple(kept))


def _unindexed(checked: CheckedBag) -> list[str]:
    """Returns the files without an index: whole, as a recorder leaves them on a full disk, but slow to open."""
    return [
        f'{name} has no index'
        for name, file in zip(checked.names, checked.files)
        if isinstance(file, McapFile) and not file.damages and not file.has_index and not file.unknown_compressions
    ]


def _describe(checked: CheckedBag, names: Sequence[str], note: str) -> None:
    path, previous = checked.path, checked.metadata
    kept: Mapping[str, Any] = previous.content if previous else {}
    info = previous.info if previous else SessionInfo(name=path.resolve().name)
    info = info.with_changes(repaired=f'{info.repaired}; {note}' if info.repaired else note)
    info = _complete(checked, info)
    files = [_file_count(name, file) for name, file in zip(names, checked.files)]
    custom = kept.get('custom_data')
    content = metadata.build(
        _entries(checked), files, {**(custom if isinstance(custom, dict) else {}), **info.to_custom_data()}
    )
    body = content[bag.TOP]
    body['storage_identifier'] = 'mcap' if bag_check.is_mcap(checked.files) else 'sqlite3'
    body['compression_mode'] = mode = _compression_mode(checked, names)
    body['compression_format'] = 'zstd' if mode else ''
    body.update({key: kept[key] for key in ('ros_distro',) if key in kept})
    if (path / bag.METADATA).exists():
        keep(path / bag.METADATA)
    metadata.write(path, content)


def _compression_mode(checked: CheckedBag, names: Sequence[str]) -> str:
    """Returns the compression of the bag, from its files and messages: the metadata may be out of date."""
    if all(name.endswith(bag_check.ZSTD) for name in names):
        return 'FILE'
    for file in checked.files:
        first = next(file.read(list(file.topics)), None) if not file.damages else None
        if first is not None:
            return 'MESSAGE' if first.data[:4] == bag_check.ZSTD_MAGIC else ''
    return ''


def _complete(checked: CheckedBag, info: SessionInfo) -> SessionInfo:
    """Reads the robot and the steps from the messages: the metadata may be old."""
    steps, robot = 0, info.robot
    types = [checked.types(file) for file in checked.files]
    definitions = Definitions(bag_check.schemas_of(checked.files, types))
    wanted = (comms.ROBOT_INFO.type, comms.APPLIED_ACTION.type)
    try:
        for file, known in zip(checked.files, types):
            with converting_errors(checked.path):
                for message in file.read([number for number, kind in known.items() if kind in wanted]):
                    content = definitions.read(bag_check.payload(message.data), known[message.channel])
                    if known[message.channel] == comms.APPLIED_ACTION.type:
                        steps += content.error_code == 0
                    else:
                        robot = robot or from_message(content)
    except UserError:
        return info  # unreadable messages are ignored
    return info.with_changes(robot=robot, total_steps=steps)


def _file_count(name: str, file: StoredFile) -> FileCount:
    counted = FileCount(name, dict(counts_of(file)))
    if counted.counts:
        counted.first, counted.last = file.first, file.last
    return counted


def _entries(checked: CheckedBag) -> list[TopicEntry]:
    """Returns each topic once, with the type hash of the old metadata where its file has none."""
    hashes = checked.metadata.hashes if checked.metadata else {}
    entries: dict[str, TopicEntry] = {}
    for file in checked.files:
        types = checked.types(file)
        for number, topic in file.topics.items():
            schema = Schema(types[number], hash=topic.hash or hashes.get(topic.name, ''))
            entries.setdefault(
                topic.name, TopicEntry(topic.name, schema, quality_of_service(topic.qos), topic.encoding)
            )
    return list(entries.values())


def quality_of_service(text: str) -> tuple[Mapping[str, Any], ...]:
    """Reads the offered quality of service of a file; invalid text counts as unknown: empty."""
    try:
        return tuple(dict(profile) for profile in dump_qos_v9(parse_qos(text)))
    except Exception:  # a third-party parser on arbitrary text; the result is optional
        return ()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Locks the session against other repairs; raises UserError while a recorder writes it."""
    if not path.is_dir():
        bag.read_metadata(path)  # raises the error for other folders
    folder = os.open(path, os.O_RDONLY)
    try:
        if not try_lock(folder, path):
            raise UserError(f'session {path} is being repaired')
        if bag.is_being_recorded(path):
            raise UserError(f'session {path} is being recorded', do='Stop the recorder first.')
        for rest in path.glob('.*.new'):  # of an interrupted repair
            rest.unlink()
        yield
    finally:
        os.close(folder)
