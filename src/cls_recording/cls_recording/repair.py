"""Makes a session whole again whose recording was cut off, and says what was lost. No ROS here."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from cls_common import comms
from cls_common.errors import UserError
from cls_common.file_lock import try_lock

from . import bag, inventory, mcap_scan, metadata
from .definitions import Definitions
from .mcap_scan import Scan
from .metadata import FileCount
from .reader import guarded, robot_of
from .rewriting import rewrite
from .session import SessionInfo
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
            done = _repair(path, _previous(path))
            for rest in _RESTS:
                (path / rest).unlink(missing_ok=True)
            return done
    except OSError as error:
        raise UserError(f'repair of {path}', expected='a folder to write to', found=str(error)) from error


def _repair(path: Path, previous: bag.BagMetadata | None) -> Repair:
    names = _in_order(path, previous)
    scans = [mcap_scan.scan(path / name) for name in names if name.endswith('.mcap')]
    contents = [inventory.of_mcap(s) for s in scans] or [inventory.of_sqlite(path / name) for name in names]
    files = [file for file, _ in contents]
    broken = [found for found in scans if not found.sound]
    found = [f'{damage.path.name} {_damage(damage)}' for damage in broken] + _disagreement(previous, files)
    messages, last = _total(files), max(file.last for file in files)
    if not found:
        return Repair(path, (), messages, 0, last)
    for damage in broken:
        rewrite(damage)
    lost = sum(s.lost_bytes + (0 if previous and previous.info.repaired else s.earlier) for s in scans)
    _describe(path, previous, contents, f'{", ".join(found)}: about {lost} bytes lost')
    return Repair(path, tuple(found), messages, lost, last)


def _describe(path: Path, previous: bag.BagMetadata | None, contents: Sequence[inventory.Contents], note: str) -> None:
    kept: Mapping[str, Any] = previous.content if previous else {}
    info = previous.info if previous else SessionInfo(name=path.resolve().name)
    info = info.with_changes(repaired=f'{info.repaired}; {note}' if info.repaired else note)
    files = [file for file, _ in contents]
    info = _witness(path, [file.name for file in files], info)
    topics = inventory.merge((entries for _, entries in contents), _hashes(kept))
    content = metadata.build(topics, files, {**(kept.get('custom_data') or {}), **info.to_custom_data()})
    body = content[bag.TOP]
    body['storage_identifier'] = 'mcap' if files[0].name.endswith('.mcap') else 'sqlite3'
    body.update({key: kept[key] for key in ('compression_format', 'compression_mode', 'ros_distro') if key in kept})
    metadata.write(path, content)


def _witness(path: Path, names: Sequence[str], info: SessionInfo) -> SessionInfo:
    """Reads the robot and the steps from the messages: the recorder may have said them for the last time long ago."""
    steps, robot = 0, info.robot
    try:
        for name in names:
            with guarded(path), Reader(path / name) as reader:
                definitions = Definitions(reader.connections)
                wanted = [
                    c for c in reader.connections if c.msgtype in (comms.ROBOT_INFO.type, comms.APPLIED_ACTION.type)
                ]
                for connection, _, data in reader.messages(wanted) if wanted else ():
                    message = definitions.read(data, connection.msgtype)
                    if connection.msgtype == comms.APPLIED_ACTION.type:
                        steps += message.error_code == 0
                    else:
                        robot = robot or robot_of(message)
    except UserError:
        return info  # what can't be read says nothing
    return info.with_changes(robot=robot, total_steps=steps)


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
    if found.whole:
        return f'has {found.messages} messages and an index of {found.stated}' if found.stated >= 0 else 'has no index'
    return 'has no end' if found.size else 'is empty'


def _disagreement(previous: bag.BagMetadata | None, files: Sequence[FileCount]) -> list[str]:
    if previous is None:
        return [f'no {bag.METADATA} to read']
    names = tuple(file.name for file in files)
    if missing := [name for name in previous.files if name not in names]:
        return [f'{", ".join(missing)} is missing']
    said, held = {name: count for name, (_, count) in previous.topics.items() if count}, _total(files)
    if names != previous.files or said != held or previous.message_count != sum(held.values()):
        return [f'{bag.METADATA} was out of date']
    return []


def _total(files: Sequence[FileCount]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for file in files:
        total.update(file.counts)
    return dict(total)


def _hashes(content: Mapping[str, Any]) -> dict[str, str]:
    listed = [entry['topic_metadata'] for entry in content.get('topics_with_message_count', [])]
    return {topic['name']: topic.get('type_description_hash', '') for topic in listed}


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
