"""`run` as real processes over the real simulator: what is done, what is told, what is refused, how it ends."""

from contextlib import contextmanager
import json
import os
import signal
import subprocess
import sys

from fake_graph.watching import descendants, is_running, wait_until
import pytest

from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning.policies.contract import uniform
from cls_learning.randomness import stream

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


def refused(*options):
    """Returns the one line with which `run` refuses."""
    done = subprocess.run(
        [sys.executable, '-m', 'cls_cli', 'run', *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stdout
    [line] = done.stderr.splitlines()
    return line


def test_lock_step_does_what_the_seed_says(runtime, tmp_path):
    with running(tmp_path, '--lock-step', '--seed', '5', '--steps', '120') as (process, output, report):
        assert process.wait(60) == 0, output.read_text()
        told = json.loads(report.read_text())
        text = output.read_text()
    expected = [PAN_TILT.to_units(uniform(2, stream(5, 'run', step))) for step in range(120)]
    assert set(told['distribution']) < {f'pan={pan:g} tilt={tilt:g}' for pan, tilt in expected}
    assert (told['actions'], told['kinds'], told['exit'], told['refused']) == (120, 120, 'clean', {})
    assert told['ended'] == 'all 120 actions are done' and 0 < told['interval_seconds']['median'] < 1
    assert '\n100 actions   ' in text and '\n120 actions, 120 different\ninterval: mean ' in text


def test_real_time_survives_a_crash_refuses_others_and_ends_on_ctrl_c(runtime, tmp_path):
    options = ('--robot', 'gym:CartPole-v1', '--sequence', 'double_move', '--rate', '25')
    with running(tmp_path, *options) as (process, output, report):

        def status():
            assert process.poll() is None, output.read_text()
            files = list(runtime.glob('cls/run-*/status.json'))
            return json.loads(files[0].read_text()) if files else {'steps': 0}

        wait_until(lambda: status()['steps'] > 5, 40.0, 'acting')
        assert 'a graph runs already in ROS domain' in refused('--robot', 'square')
        assert 'somebody else commands this robot' in refused('--attach')
        [simulator] = [pid for pid in descendants(process.pid) if is_node(pid, 'simulator')]
        steps = status()['steps']
        os.kill(simulator, signal.SIGKILL)
        wait_until(lambda: status()['steps'] > steps + 60, 40.0, 'acting again')
        pids = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, output.read_text()
        wait_until(lambda: not any(map(is_running, pids)), 10.0, 'every process gone')
        told = json.loads(report.read_text())
    assert (told['ended'], told['exit'], told['restarts']) == ('interrupted', 'clean', {'simulator': 1})
    assert told['robot'] == 'gym:CartPole-v1' and told['episodes'] > 0 and told['reward'] > 60
    done = told['distribution']
    assert set(done) == {'action=0', 'action=1'} and done['action=1'] == pytest.approx(2 * done['action=0'], abs=2)
    assert told['interval_seconds']['median'] == pytest.approx(0.04, abs=0.02)


def is_node(pid, name):
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            return f'__node:={name}' in file.read().split('\0') and os.readlink(f'/proc/{pid}/exe') != '/bin/sh'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_person_confirms_overrides_and_ends(runtime, tmp_path):
    with running(tmp_path, '--interactive', '--sequence', '1 1; 2 2', '--lock-step', stdin=subprocess.PIPE) as (
        process, output, report,
    ):  # fmt: skip
        process.stdin.write(b'\n__import__("os")\ntilt=-4\n\nq\n')
        process.stdin.close()
        assert process.wait(60) == 0, output.read_text()
        told, text = json.loads(report.read_text()), output.read_text()
    assert told['distribution'] == {'pan=1 tilt=1': 2, 'pan=0 tilt=-4': 1}
    assert told['ended'] == 'ended by the person who typed'
    assert "error: action '__import__(" in text and '\n2: pan=2 tilt=2  [Enter' in text


@pytest.mark.parametrize(
    'options, text',
    [
        (('--robot', 'replay'), "robot 'replay' with session ''"),
        (('--policy', 'psychic'), "unknown policy 'psychic'; expected one of constant, manual"),
        (('--action', '1 1', '--sequence', '1 1'), '--action and --sequence with policy none'),
        (('--action', '1 1', '--policy', 'random'), 'expected --action with constant alone'),
        (('--filter-action', 'pan=1'), 'expected a --session to filter'),
        (('--session', '/nowhere/session'), 'session /nowhere/session; expected a rosbag2 folder'),
        (('--report', '/nowhere/r.json'), 'expected an existing folder'),
        (('--attach', '--record'), './cls record'),
        (('--attach', '--startup-timeout', '1'), 'not ready after 1 s; expected a robot (robot/info)'),
    ],
)
def test_what_can_not_be_is_one_line(runtime, capsys, options, text):
    from cls_cli import entry

    assert entry.main(['run', *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and text in line
