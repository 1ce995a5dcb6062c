"""Makes a session whole again whose recording was cut off, and says what was lost. No ROS here."""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass, field
import fcntl
import os
from pathlib import Path
from typing import Any

from cls_common import comms
from cls_common.errors import UserError

from . import bag, inventory, mcap_scan, metadata_file
from .mcap_scan import Scan
from .metadata_file import TopicEntry
from .reader import SessionReader
from .rewriting import rewrite
from .session import SessionInfo


@dataclass(frozen=True)
class Repair:
    """What a repair found and did.

    Attributes:
        path: of the session.
        found: what was wrong, one text each; empty: nothing to repair.
        messages: in the session now, by full topic name.
        lost_bytes: after the last whole record and of damaged chunks: an estimate, an index may be among them.
        last: log time of the last message, ns; 0: there is none.
    """

    path: Path
    found: tuple[str, ...] = ()
    messages: Mapping[str, int] = field(default_factory=dict)
    lost_bytes: int = 0
    last: int = 0


def repair(path: Path) -> Repair:
    """Makes a session whole again. What was there goes only when its repaired copy is synced; may be cut off itself.

    Raises:
        UserError: no bag, being recorded, by a newer version, no room, or sqlite's own recovery is needed.
    """
    try:
        with _locked(path):
            return _repair(path, _previous(path))
    except OSError as error:
        raise UserError(f'repair of {path}', expected='a folder to write to', found=str(error)) from error


def _repair(path: Path, previous: bag.BagMetadata | None) -> Repair:
    names = _in_order(path, previous)
    scans = [mcap_scan.scan(path / name) for name in names if name.endswith('.mcap')]
    contents = [inventory.of_mcap(s) for s in scans] or [inventory.of_sqlite(path / name) for name in names]
    files = [file for file, _ in contents]
    topics = inventory.merge(entries for _, entries in contents)
    broken = [found for found in scans if not found.sound]
    found = [f'{damage.path.name} {_damage(damage)}' for damage in broken] + _disagreement(previous, names, topics)
    messages, last = {topic.name: topic.messages for topic in topics}, max((f.end for f in files), default=0)
    if not found:
        return Repair(path, (), messages, 0, last)
    for damage in broken:
        rewrite(damage)
    info = previous.info if previous else SessionInfo(name=path.resolve().name)
    lost = sum(s.lost_bytes + (0 if info.repaired else s.earlier) for s in scans)
    note = f'{", ".join(found)}: about {lost} bytes lost'
    info = info.with_changes(repaired=f'{info.repaired}; {note}' if info.repaired else note)
    kept: dict[str, Any] = (
        dict(previous.content) if previous else {'storage_identifier': 'mcap' if scans else 'sqlite3'}
    )
    custom = {**(kept.get('custom_data') or {}), **info.to_custom_data()}
    content = metadata_file.compose(files, _with_hashes(topics, kept), custom, kept)
    metadata_file.write(path, content)
    _complete(path, content, info)
    return Repair(path, tuple(found), messages, lost, last)


def _complete(path: Path, content: dict[str, Any], info: SessionInfo) -> None:
    """Says the robot and counts the steps anew: the recorder may have said them for the last time much earlier."""
    try:
        with SessionReader(path) as session:
            applied = session.events([comms.APPLIED_ACTION.name])
            steps = sum(1 for event in applied if event.message.error_code == 0)
            complete = session.info.with_changes(total_steps=steps)
    except UserError:
        return  # empty, or not of a robot: nothing more is known
    if complete != info:
        metadata_file.write(path, {**content, 'custom_data': {**content['custom_data'], **complete.to_custom_data()}})


def _previous(path: Path) -> bag.BagMetadata | None:
    try:
        return bag.read_metadata(path)
    except bag.DamagedError:
        return None


def _in_order(path: Path, previous: bag.BagMetadata | None) -> list[str]:
    present = bag.storage_files(path)
    known = [name for name in previous.files if name in present] if previous else []
    names = known + [name for name in present if name not in known]
    if packed := [name for name in names if name.endswith('.zstd')]:
        raise UserError(f'file {path / packed[0]}', expected='.mcap or .db3', do='Unpack it first: unzstd')
    if not names or len({Path(name).suffix for name in names}) > 1:
        raise UserError(
            f'session {path}', expected='files of one kind, .mcap or .db3', found=', '.join(names) or 'none'
        )
    return names


def _damage(found: Scan) -> str:
    if found.lost_chunks or found.nameless:
        return f'has {found.lost_chunks} damaged chunks' + ('' if found.whole else ' and no end')
    return 'is empty' if not found.size else 'has no end' if not found.whole else 'is damaged'


def _disagreement(previous: bag.BagMetadata | None, names: list[str], topics: list[TopicEntry]) -> list[str]:
    if previous is None:
        return [f'no {bag.METADATA} to read']
    if missing := [name for name in previous.files if name not in names]:
        return [f'{", ".join(missing)} is missing']
    said = {name: count for name, (_, count) in previous.topics.items() if count}
    held = {topic.name: topic.messages for topic in topics if topic.messages}
    if tuple(names) != previous.files or said != held or previous.message_count != sum(held.values()):
        return [f'{bag.METADATA} was out of date']
    return []


def _with_hashes(topics: list[TopicEntry], content: Mapping[str, Any]) -> list[TopicEntry]:
    listed = [entry['topic_metadata'] for entry in content.get('topics_with_message_count', [])]
    hashes = {topic['name']: topic.get('type_description_hash', '') for topic in listed}
    return [TopicEntry(t.name, t.type, t.messages, t.qos, t.hash or hashes.get(t.name, '')) for t in topics]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps other repairs away, and refuses a session that a living recorder writes."""
    if not path.is_dir():
        bag.read_metadata(path)  # says what it is instead
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if bag.is_being_recorded(path):
            raise UserError(f'session {path} is being recorded', do='Stop the recorder first.')
        for rest in path.glob('.*.new'):  # of a repair that was cut off
            rest.unlink()
        yield
    except BlockingIOError as error:
        raise UserError(f'session {path} is being repaired') from error
    finally:
        os.close(folder)
