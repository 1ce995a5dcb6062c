"""A repair reports defects and losses, and an interrupted repair loses nothing more."""

import fcntl
import os
from pathlib import Path
import re
import resource
import shutil
import sqlite3
import subprocess
import sys

import pytest

from cls_common.errors import UserError
from cls_recording.bag import DamagedError
from cls_recording.reader import SessionReader
from cls_recording.repair import repair
from cls_recording.session import SessionInfo


def contents(path):
    with SessionReader(path) as session:
        return [(event.topic, event.time_ns, event.data) for event in session.raw()]


@pytest.fixture(scope='module')
def made(bags, tmp_path_factory):
    """A session of two whole files and one truncated in the middle, with metadata of its beginning; all messages."""
    said = bags.session_messages(24)
    third = len(said) // 3
    folder = tmp_path_factory.mktemp('made') / 'torn'
    for number in range(3):
        bags.write_chunks(folder / f'torn_{number}.mcap', said[number * third : (number + 1) * third])
    repair(folder)
    messages = contents(folder)
    info = SessionInfo(name='torn', start_time='2023-11-14T22:13:20+00:00', model='m', run_id='r', lost=3)
    bags.edit_metadata(
        folder,
        relative_file_paths=['torn_0.mcap'],
        message_count=0,
        topics_with_message_count=[],
        custom_data={**info.to_custom_data(), 'somebody.else': 'kept'},
    )
    last = folder / 'torn_2.mcap'
    last.write_bytes(last.read_bytes()[:5000])
    return folder, messages


@pytest.fixture
def torn(made, tmp_path):
    """A copy of the damaged session."""
    return Path(shutil.copytree(made[0], tmp_path / 'torn')), made[1]


def test_a_repair_reports_defects_and_losses_and_keeps_the_metadata(torn):
    folder, messages = torn
    with pytest.raises(DamagedError, match=r'Try ./cls sessions repair .*torn'):
        SessionReader(folder)
    result = repair(folder)
    torn_file, metadata = result.found
    assert torn_file.startswith('torn_2.mcap has no end (bytes ') and torn_file.endswith(' to 5000)')
    assert metadata == 'metadata.yaml was out of date'
    found = contents(folder)
    assert 64 < len(found) < len(messages) and found == messages[: len(found)]
    assert sum(result.messages.values()) == len(found) and result.last == found[-1][1]
    assert 0 < result.lost_bytes < 5000
    with SessionReader(folder) as session:
        info = session.info
        steps = session.topics['robot/applied_action'].count
    assert (info.start_time, info.end_time, info.model, info.run_id, info.lost) == (
        '2023-11-14T22:13:20+00:00',
        '',
        'm',
        'r',
        3,
    )
    assert info.robot is not None and info.robot.name == 'twin'
    assert info.total_steps == steps > 0
    assert f'about {result.lost_bytes} bytes lost' in info.repaired and 'torn_2.mcap has no end' in info.repaired
    assert 'somebody.else: kept' in (folder / 'metadata.yaml').read_text()


def test_a_whole_session_is_not_changed(torn):
    folder, _ = torn
    repair(folder)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    assert repair(folder).found == ()
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()} == before


@pytest.mark.parametrize(('rest', 'lost'), [(b'', 0), (b'\x89MCA', 4), (b'\x89MCAP0\r\n\x01', 1), (bytes(5000), 5000)])
def test_an_empty_last_file_loses_nothing(torn, rest, lost):
    folder, messages = torn
    (folder / 'torn_2.mcap').unlink()
    (folder / 'torn_2.mcap').write_bytes(rest)
    result = repair(folder)
    assert 'torn_2.mcap' in result.found[0] and result.lost_bytes == lost
    found = contents(folder)
    assert len(found) == 64 and found == messages[: len(found)]


@pytest.mark.parametrize('metadata', [None, '', 'rosbag2_bagfile_information: {version: 9}', '\x00\x00', '- 1'])
def test_lost_metadata_is_recreated(bags, tmp_path, metadata):
    folder = bags.write(tmp_path / 'session', bags.session_messages())
    messages = contents(folder)
    (folder / 'metadata.yaml').unlink()
    if metadata is not None:
        (folder / 'metadata.yaml').write_text(metadata)
    with pytest.raises(DamagedError):
        SessionReader(folder)
    assert repair(folder).found == ('no metadata.yaml to read',)
    assert contents(folder) == messages


def test_a_damaged_chunk_in_the_middle_costs_only_itself(bags, tmp_path):
    folder = tmp_path / 'session'
    sizes = bags.write_chunks(folder / 'session_0.mcap', bags.session_messages())
    repair(folder)
    messages = contents(folder)
    content = bytearray((folder / 'session_0.mcap').read_bytes())
    content[sizes[2] + 500] ^= 1
    (folder / 'session_0.mcap').write_bytes(content)
    result = repair(folder)
    assert result.found[0].startswith('session_0.mcap has a chunk with a wrong checksum (bytes ')
    assert result.lost_bytes > 0
    assert contents(folder) == messages[:18] + messages[24:]


def test_messages_overwritten_without_a_checksum_are_reported(bags, tmp_path):
    folder = bags.write(tmp_path / 'session', bags.session_messages())  # rosbags writes no checksums
    messages = contents(folder)
    content = bytearray((folder / 'session.mcap').read_bytes())
    begin = content.index(b'sensor_msgs/msg/CompressedImage') + 6000
    content[begin : begin + 2000] = bytes(2000)
    (folder / 'session.mcap').write_bytes(content)
    with pytest.raises(DamagedError):
        contents(folder)
    assert re.search(r'a chunk with bytes that are no record, \d+ of 82 messages', repair(folder).found[0])
    found = contents(folder)
    assert 0 < len(found) < len(messages)
    assert repair(folder).found == ()


def test_a_repair_may_be_killed_at_any_file_operation(torn):
    folder, messages = torn
    # A process of its own forks for each kill: the forked process has one thread and no connection to pytest.
    done = subprocess.run(
        [sys.executable, '-c', KILLED, str(folder)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    kills, *lost = map(int, done.stdout.split())
    assert kills >= 4 and len(set(lost)) == 1 and lost[0] > 0
    assert contents(folder) == messages[: len(contents(folder))]


# Dies before the n-th file is created, renamed or removed, then repairs the rest; for each n until it survives.
KILLED = """
import os, pathlib, shutil, sys
from cls_recording.reader import SessionReader
from cls_recording.repair import repair

folder = pathlib.Path(sys.argv[1])
original = folder.with_name('original')
shutil.copytree(folder, original)
lost, messages, kills = [], set(), 0
while True:
    shutil.rmtree(folder)
    shutil.copytree(original, folder)
    child = os.fork()
    if not child:
        left = kills
        def watch(event, args):
            global left
            changes = event in ('os.rename', 'os.remove') or event == 'open' and 'w' in str(args[1])
            touches = changes and str(folder) in str(args[0])
            if touches and not left:
                os._exit(9)
            left -= touches
        sys.addaudithook(watch)
        repair(folder)
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    repair(folder)
    with SessionReader(folder) as session:
        lost.append(session.info.repaired.partition('about ')[2].partition(' ')[0])
        messages.add((session.info.total_steps, *((event.topic, event.data) for event in session.raw())))
    if not killed:
        break
    kills += 1
assert len(messages) == 1
assert not list(folder.glob('.*')), list(folder.iterdir())
print(kills, *lost)
"""


def test_a_session_of_a_running_recorder_is_refused(torn):
    folder, _ = torn
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for use in (repair, SessionReader):
            with pytest.raises(UserError, match='is being recorded'):
                use(folder)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert repair(folder).found  # the recorder is gone, its file `lock` may stay


def test_without_room_the_original_stays(torn):
    folder, _ = torn
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(UserError, match='room beside it'):
            repair(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_other_and_newer_files_are_refused_and_not_changed(bags, tmp_path, torn):
    foreign = tmp_path / 'foreign'
    foreign.mkdir()
    (foreign / 'foreign_0.mcap').write_text('no MCAP file at all')
    with pytest.raises(UserError, match='expected an MCAP file'):
        repair(foreign)
    assert (foreign / 'foreign_0.mcap').read_text() == 'no MCAP file at all'
    with pytest.raises(UserError, match='expected a rosbag2 folder'):
        repair(tmp_path / 'nowhere')
    newer, _ = torn
    bags.edit_metadata(newer, version=99)
    with pytest.raises(UserError, match='version 9 or older; found version 99'):
        repair(newer)


def test_sqlite_is_repaired_by_sqlite(bags, tmp_path):
    folder = bags.write(tmp_path / 'session', bags.session_messages(100), storage='SQLITE3')
    messages = contents(folder)
    assert repair(folder).found == ()
    (folder / 'metadata.yaml').unlink()
    assert repair(folder).found == ('no metadata.yaml to read',)
    assert contents(folder) == messages
    file = folder / 'session.db3'
    file.write_bytes(file.read_bytes()[: os.path.getsize(file) // 2])
    with pytest.raises(UserError, match=r"sqlite's own recovery: sqlite3 .*session.db3 .recover"):
        repair(folder)
    other = bags.write(tmp_path / 'other', bags.session_messages(), storage='SQLITE3')
    with sqlite3.connect(other / 'other.db3') as database:
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('DELETE FROM messages WHERE id = 1')
        database.commit()
        with pytest.raises(UserError, match='expected a closed sqlite3 database'):
            repair(other)
    database.close()
