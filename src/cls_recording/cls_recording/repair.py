"""Makes a session whole again whose recording was cut off, and says what was lost. No ROS here."""

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

from . import bag, judgement, metadata
from .definitions import Definitions
from .judgement import BagJudgement, counts_of, guarded
from .mcap_file import McapFile
from .metadata import FileCount, TopicEntry
from .reader import robot_of
from .rewriting import keep, rewrite
from .schemas import Schema
from .session import SessionInfo
from .stored import StoredFile
from .writer import RESERVE

# What a recorder that was killed leaves beside its messages.
_RESTS = (bag.LOCK, RESERVE, f'{bag.METADATA}.new')


@dataclass(frozen=True)
class Repair:
    """What a repair found and did.

    Attributes:
        path: of the session.
        found: what was wrong, one text each; empty: nothing to repair.
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
    """Makes a session whole again, and touches nothing that is whole.

    A file is replaced only where damaged bytes were found in it or it has no index, once its repaired copy is synced;
    the original stays beside it, its name ending in `.replaced`. A repair that is cut off can be done again.

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
    with judgement.judge(path, thorough=True) as judged:
        messages, last = dict(judged.counts), max(file.last for file in judged.files)
        found = (*judged.found, *_unindexed(judged))
        if not found:
            return Repair(path, (), messages, 0, last)
        names = list(judged.names)
        scans = [file for file in judged.files if isinstance(file, McapFile)]
        for place, (name, file) in enumerate(zip(judged.names, list(judged.files))):
            if isinstance(file, McapFile) and (file.damages or not (file.has_index or file.unknown_compressions)):
                new = rewrite(file, path / name)
                names[place], judged.files[place] = new.path.name, new
        known = bool(judged.metadata and judged.metadata.info.repaired)
        lost = sum(file.lost_bytes + (0 if known else file.earlier) for file in scans)
        _describe(judged, names, f'{", ".join(found)}: about {lost} bytes lost')
        kept = sorted(file.name for file in path.glob(f'*{bag.REPLACED}*'))
        return Repair(path, found, messages, lost, last, tuple(kept))


def _unindexed(judged: BagJudgement) -> list[str]:
    """Returns which files lack an index: whole, as a recorder leaves them on a full disk, but slow to open."""
    return [
        f'{name} has no index'
        for name, file in zip(judged.names, judged.files)
        if isinstance(file, McapFile) and not file.damages and not file.has_index and not file.unknown_compressions
    ]


def _describe(judged: BagJudgement, names: Sequence[str], note: str) -> None:
    path, previous = judged.path, judged.metadata
    kept: Mapping[str, Any] = previous.content if previous else {}
    info = previous.info if previous else SessionInfo(name=path.resolve().name)
    info = info.with_changes(repaired=f'{info.repaired}; {note}' if info.repaired else note)
    info = _complete(judged, info)
    files = [_file_count(name, file) for name, file in zip(names, judged.files)]
    custom = kept.get('custom_data')
    content = metadata.build(
        _entries(judged), files, {**(custom if isinstance(custom, dict) else {}), **info.to_custom_data()}
    )
    body = content[bag.TOP]
    body['storage_identifier'] = 'mcap' if judgement.is_mcap(judged.files) else 'sqlite3'
    body['compression_mode'] = mode = _compression_mode(judged, names)
    body['compression_format'] = 'zstd' if mode else ''
    body.update({key: kept[key] for key in ('ros_distro',) if key in kept})
    if (path / bag.METADATA).exists():
        keep(path / bag.METADATA)
    metadata.write(path, content)


def _compression_mode(judged: BagJudgement, names: Sequence[str]) -> str:
    """Returns how the bag is compressed, by its files and its messages: what metadata said may be out of date."""
    if all(name.endswith(judgement.ZSTD) for name in names):
        return 'FILE'
    for file in judged.files:
        first = next(file.read(list(file.topics)), None) if not file.damages else None
        if first is not None:
            return 'MESSAGE' if first.data[:4] == judgement.ZSTD_MAGIC else ''
    return ''


def _complete(judged: BagJudgement, info: SessionInfo) -> SessionInfo:
    """Reads the robot and the steps from the messages: the recorder may have said them for the last time long ago."""
    steps, robot = 0, info.robot
    types = [judged.types(file) for file in judged.files]
    definitions = Definitions(judgement.schemas_of(judged.files, types))
    wanted = (comms.ROBOT_INFO.type, comms.APPLIED_ACTION.type)
    try:
        for file, known in zip(judged.files, types):
            with guarded(judged.path):
                for message in file.read([number for number, kind in known.items() if kind in wanted]):
                    content = definitions.read(judgement.payload(message.data), known[message.channel])
                    if known[message.channel] == comms.APPLIED_ACTION.type:
                        steps += content.error_code == 0
                    else:
                        robot = robot or robot_of(content)
    except UserError:
        return info  # what can't be read says nothing
    return info.with_changes(robot=robot, total_steps=steps)


def _file_count(name: str, file: StoredFile) -> FileCount:
    counted = FileCount(name, dict(counts_of(file)))
    if counted.counts:
        counted.first, counted.last = file.first, file.last
    return counted


def _entries(judged: BagJudgement) -> list[TopicEntry]:
    """Returns each topic once, with the type hash that the old metadata knew where its file says none."""
    hashes = judged.metadata.hashes if judged.metadata else {}
    entries: dict[str, TopicEntry] = {}
    for file in judged.files:
        types = judged.types(file)
        for number, topic in file.topics.items():
            schema = Schema(types[number], hash=topic.hash or hashes.get(topic.name, ''))
            entries.setdefault(
                topic.name, TopicEntry(topic.name, schema, quality_of_service(topic.qos), topic.encoding)
            )
    return list(entries.values())


def quality_of_service(text: str) -> tuple[Mapping[str, Any], ...]:
    """Reads the offered quality of service of a file; what makes no sense is unknown: empty."""
    try:
        return tuple(dict(profile) for profile in dump_qos_v9(parse_qos(text)))
    except Exception:  # a foreign parser on foreign text, and nothing depends on it
        return ()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps other repairs away, and refuses a session that a living recorder writes."""
    if not path.is_dir():
        bag.read_metadata(path)  # says what it is instead
    folder = os.open(path, os.O_RDONLY)
    try:
        if not try_lock(folder, path):
            raise UserError(f'session {path} is being repaired')
        if bag.is_being_recorded(path):
            raise UserError(f'session {path} is being recorded', do='Stop the recorder first.')
        for rest in path.glob('.*.new'):  # of a repair that was cut off
            rest.unlink()
        yield
    finally:
        os.close(folder)
