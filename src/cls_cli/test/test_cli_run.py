"""`run` as real processes over the real simulator: actions, reports, refusals and ends."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
from watching import descendants, is_running, wait_until

from cls_cli import entry
from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning.policies.contract import uniform
from cls_learning.randomness import stream
from cls_recording.reader import SessionReader

PAN_TILT = RobotInfo('sim', (), tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt')))


@contextmanager
def running(tmp_path, *options, stdin=None):
    """Yields a started `run` and where its output and report go; whatever is left is ended."""
    output, report = tmp_path / 'run.out', tmp_path / 'report.json'
    command = [sys.executable, '-m', 'cls_cli', 'run', '--report', str(report), *options]
    with output.open('w') as stream_out:
        process = subprocess.Popen(
            command, stdin=stdin or subprocess.DEVNULL, stdout=stream_out, stderr=subprocess.STDOUT
        )
    try:
        yield process, output, report
    finally:
        for pid in [process.pid, *descendants(process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait(10)


@pytest.fixture
def act(runtime, tmp_path, capsys):
    """Calls `run` in this process; returns its status, its report and its output."""

    def call(*options):
        report = tmp_path / 'report.json'
        report.unlink(missing_ok=True)
        status = entry.main(['run', '--report', str(report), *map(str, options)])
        return status, json.loads(report.read_text()) if report.exists() else {}, capsys.readouterr()

    return call


def answers(session):
    """Returns what the robot was asked and where its joints came to, one by one; on a busy machine it answers twice."""
    with SessionReader(Path(session)) as reader:
        messages = {event.message.sequence: event.message for event in reader.events(['robot/applied_action'])}
    return [(message.commanded.tolist(), message.joints_after.tolist()) for message in messages.values()]


def test_recorded_actions_can_be_repeated(act, tmp_path):
    """First the actions of the seed, then the same ones from the recording, to the last bit of a joint."""
    status, report, said = act('--lock-step', '--seed', 5, '--steps', 120, '--record', '--sessions-dir', tmp_path / 'a')
    assert status == 0, said
    first = answers(report['session'])
    expected = [PAN_TILT.to_units(uniform(2, stream(5, 'run', step))).tolist() for step in range(120)]
    assert [action for action, _ in first] == expected
    assert (report['actions'], report['kinds'], report['exit'], report['refused']) == (120, 120, 'clean', {})
    assert report['ended'] == 'all 120 actions are done' and 0 < report['interval_seconds']['median'] < 1
    assert '\n100 actions   ' in said.out and '\n120 actions, 120 different\ninterval: mean ' in said.out

    again = ('--lock-step', '--seed', 5, '--session', report['session'], '--record', '--sessions-dir', tmp_path / 'b')
    status, report, said = act(*again)
    assert status == 0, said
    assert answers(report['session']) == first
    assert report['ended'].startswith('all 120 recorded actions of session_')


def test_real_time_survives_a_crash_refuses_others_and_ends_on_ctrl_c(act, runtime, tmp_path):
    options = ('--robot', 'gym:CartPole-v1', '--sequence', 'double_move', '--max-rate', '25')
    with running(tmp_path, *options) as (process, output, report_file):

        def status():
            assert process.poll() is None, output.read_text()
            files = list(runtime.glob('cls/run-*/status.json'))
            return json.loads(files[0].read_text()) if files else {'steps': 0}

        wait_until(lambda: status()['steps'] > 5, 40.0, 'acting')
        for others, problem in ((('--robot', 'square'), 'a graph runs already'), (('--attach',), 'another node')):
            code, _, said = act(*others)
            assert code == 2 and problem in said.err and said.err.count('\n') == 1
        [simulator] = [pid for pid in descendants(process.pid) if is_node(pid, 'simulator')]
        steps = status()['steps']
        os.kill(simulator, signal.SIGKILL)
        wait_until(lambda: status()['steps'] > steps + 60, 40.0, 'acting again')
        pids = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, output.read_text()
        wait_until(lambda: not any(map(is_running, pids)), 10.0, 'every process gone')
        report = json.loads(report_file.read_text())
    assert (report['ended'], report['exit'], report['restarts']) == ('interrupted', 'clean', {'simulator': 1})
    assert report['robot'] == 'gym:CartPole-v1' and report['episodes'] > 0 and report['reward'] > 60
    done = report['distribution']
    assert set(done) == {'action=0', 'action=1'} and done['action=1'] == pytest.approx(2 * done['action=0'], abs=2)
    assert report['interval_seconds']['median'] == pytest.approx(0.04, abs=0.02)


def is_node(pid, name):
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            return f'__node:={name}' in file.read().split('\0') and os.readlink(f'/proc/{pid}/exe') != '/bin/sh'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_person_confirms_overrides_and_ends(act, monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, b'\n__import__("os")\ntilt=-4\n\nq\n')
    with open(reader) as typed:
        monkeypatch.setattr(sys, 'stdin', typed)
        status, report, said = act('--interactive', '--sequence', '1 1; 2 2', '--lock-step')
    os.close(writer)
    assert status == 0, said
    assert report['distribution'] == {'pan=1 tilt=1': 2, 'pan=0 tilt=-4': 1}
    assert report['ended'] == 'ended by the user'
    assert "error: action '__import__(" in said.err and '\n2: pan=2 tilt=2  [Enter' in said.out


@pytest.mark.parametrize(
    'options, text',
    [
        (('--robot', 'replay'), "robot 'replay' with session ''"),
        (('--policy', 'psychic'), "unknown policy 'psychic'; expected one of constant, curious, manual"),
        (('--action', '1 1', '--sequence', '1 1'), '--action and --sequence with policy none'),
        (('--action', '1 1', '--policy', 'random'), 'expected --action with constant alone'),
        (('--filter-action', 'pan=1'), 'expected a --session to filter'),
        (('--session', '/nowhere/session'), 'session /nowhere/session; expected a rosbag2 folder'),
        (('--report', '/nowhere/r.json'), 'expected an existing folder'),
        (('--attach', '--record'), './cls record'),
        (('--attach', '--startup-timeout', '1'), 'not ready after 1 s; expected a robot (robot/info)'),
    ],
)
def test_contradicting_options_are_one_line(runtime, capsys, options, text):
    assert entry.main(['run', *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and text in line
