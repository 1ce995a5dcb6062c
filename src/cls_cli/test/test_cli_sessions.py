"""`./cls sessions`: the output for whole, damaged and foreign sessions."""

import fcntl
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from cls_cli import entry
from cls_recording.definitions import installed
from cls_recording.reader import SessionReader
from cls_recording.session import SessionInfo

BEGIN = 1_700_000_000_000_000_000
ACTION = 'cls_interfaces/msg/AppliedAction'


def action(number):
    """Returns the CDR of an applied action of two channels without error."""
    types = installed().types
    stamp = types['builtin_interfaces/msg/Time'](sec=number, nanosec=0)
    values, none = np.array([number % 3, -1.5], np.float32), np.zeros(0)
    message = types[ACTION](
        source='fast_learner', sequence=number, commanded=values, applied=values, joints_before=none,
        joints_after=none, start=stamp, end=stamp, error_code=0, error_msg='', reward=float('nan'), terminal=False,
        truncated=False,
    )  # fmt: skip
    return installed().serialize_cdr(message, ACTION)


def record(path, steps=20, topic='/robot/applied_action', storage=StoragePlugin.MCAP):
    path.parent.mkdir(parents=True, exist_ok=True)
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for key, value in SessionInfo(name=path.name, total_steps=steps).to_custom_data().items():
            writer.set_custom_data(key, value)
        connection = writer.add_connection(topic, ACTION, typestore=installed())
        for number in range(steps):
            writer.write(connection, BEGIN + number * 1_000_000_000, action(number))
    return path


@pytest.fixture
def sessions(tmp_path):
    """Sessions of two robots: whole, without metadata, newer, under way."""
    record(tmp_path / 'arm' / ('s' * 90))
    (record(tmp_path / 'sim' / 'broken') / 'metadata.yaml').unlink()
    newer = record(tmp_path / 'sim' / 'newer') / 'metadata.yaml'
    newer.write_text(newer.read_text().replace('version: 9', 'version: 99'))
    with (record(tmp_path / 'sim' / 'under_way') / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def run(capsys, *args):
    status = entry.main(['sessions', *map(str, args)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list_shows_sessions_in_any_state_and_cuts_nothing(capsys, sessions):
    status, out, err = run(capsys, 'list', '--sessions-dir', sessions)
    lines = out.splitlines()
    assert (status, err) == (0, '')
    assert [line.split()[0] for line in lines[:5]] == [
        'session',
        f'arm/{"s" * 90}',
        'sim/broken',
        'sim/newer',
        'sim/under_way',
    ]
    assert [line.split()[-1] for line in lines[1:5]] == ['whole', 'damaged', 'unreadable', 'recording']
    assert '19.0 s' in lines[1] and ' 20 ' in lines[1]
    assert f'./cls sessions repair {sessions}/sim/broken' in out
    assert 'version 9 or older; found version 99' in out
    assert len(lines) == 7


@pytest.mark.parametrize('start', [300_000_000_000_000_000_000, -(10**30), 2**63 - 1])
def test_list_survives_a_session_of_any_year(capsys, sessions, start):
    file = record(sessions / 'sim' / 'odd') / 'metadata.yaml'
    file.write_text(file.read_text().replace(f'nanoseconds_since_epoch: {BEGIN}', f'nanoseconds_since_epoch: {start}'))
    status, out, err = run(capsys, 'list', '--sessions-dir', sessions)
    assert (status, err) == (0, '') and 'sim/odd' in out and f'arm/{"s" * 90}' in out


def test_list_prints_json(capsys, sessions):
    status, out, _ = run(capsys, 'list', '--sessions-dir', sessions, '--json')
    states = {one['name']: (one['state'], one['steps'], one['messages']) for one in json.loads(out)}
    assert status == 0
    assert states == {
        's' * 90: ('whole', 20, 20), 'broken': ('damaged', 0, 0), 'newer': ('unreadable', 0, 0),
        'under_way': ('recording', 20, 20),
    }  # fmt: skip


def test_list_of_no_sessions_is_no_error(capsys, tmp_path):
    assert run(capsys, 'list', '--sessions-dir', tmp_path / 'none') == (0, f'No sessions in {tmp_path}/none.\n', '')
    assert run(capsys, 'list', '--sessions-dir', tmp_path, '--json') == (0, '[]\n', '')


def test_info_shows_contents_and_missing_topics(capsys, tmp_path):
    path = record(tmp_path / 'one')
    status, out, err = run(capsys, 'info', path)
    assert (status, err) == (0, '')
    assert 'health    bad' in out and '- no images, embeddings or observations' in out
    assert 'robot/applied_action        20         1.1  cls_interfaces/msg/AppliedAction' in out
    assert '7  0, -1.5' in out
    status, out, _ = run(capsys, 'info', path, '--json')
    (health,) = json.loads(out)
    assert status == 0 and health['verdict'] == 'bad' and health['duration'] == 19.0
    assert health['actions']['channels'][0]['counts'] == [7, 7, 6]
    assert health['topics']['robot/applied_action']['count'] == 20
    assert health['info']['total_steps'] == 20


def test_info_of_several_sessions_continues_after_a_bad_one(capsys, sessions):
    status, out, err = run(capsys, 'info', sessions)
    assert status == 1 and out.count('health ') == 1
    assert [line[:6] for line in err.splitlines()] == ['error:'] * 3


def test_repair_prints_the_recovered_messages(capsys, tmp_path):
    path = record(tmp_path / 'one')
    (path / 'metadata.yaml').unlink()
    status, out, err = run(capsys, 'repair', path)
    assert (status, err) == (0, '')
    assert out.splitlines()[:3] == [
        f'{path}: no metadata.yaml to read', '  recovered     20 messages', '           20 /robot/applied_action',
    ]  # fmt: skip
    assert 'lost          about 0 bytes' in out and 'last message  2023-11-1' in out
    assert run(capsys, 'repair', path) == (0, f'{path}: nothing to repair\n', '')
    with SessionReader(path) as session:
        assert session.info.total_steps == 20


@pytest.mark.parametrize('command', ['info', 'repair'])
def test_bad_input_is_one_line(capsys, sessions, command):
    foreign = sessions / 'foreign'
    foreign.mkdir()
    (foreign / 'foreign.mcap').write_text('something else')
    cases = {
        sessions / 'nowhere': 'found nothing there', sessions / 'sim/newer': 'found version 99',
        sessions / 'sim/under_way': 'is being recorded', foreign: './cls sessions repair' if command == 'info' else
        'expected an MCAP file', sessions / 'sim/newer/metadata.yaml': 'expected a rosbag2 folder; found a file',
    }  # fmt: skip
    for path, text in cases.items():
        status, out, err = run(capsys, command, path)
        assert (status, out) == (2, '') and err.count('\n') == 1 and text in err, (path, err)


def test_info_refuses_a_bag_of_something_else_and_one_that_can_not_be_read(capsys, tmp_path):
    other = record(tmp_path / 'other', topic='/chatter')
    assert 'expected some of a robot' in run(capsys, 'info', other)[2]
    closed = record(tmp_path / 'closed')
    (closed / 'metadata.yaml').unlink()
    (closed / 'metadata.yaml').mkdir()
    status, _, err = run(capsys, 'info', closed)
    assert status == 2 and err.count('\n') == 1 and 'Is a directory' in err


def test_a_session_of_hours_is_listed_at_once(tmp_path):
    """Only its metadata and the ends of its files are read."""
    path = record(tmp_path / 'one')
    with (path / 'one.mcap').open('r+b') as stream:
        content = stream.read()
        stream.seek(1 << 38)  # a hole: such a file has no blocks, and reading it would take minutes
        stream.write(content)
    command = [sys.executable, '-m', 'cls_cli', 'sessions', 'list', '--sessions-dir', str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=os.environ)
    assert done.returncode == 0 and 'whole' in done.stdout
