"""Every command against the fake graph, and the one line for each mistake of the user."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from watching import wait_until

from cls_cli import entry
from cls_cli.commands.models import size
from cls_cli.commands.status import as_text
from conftest import FAKE_ENVIRONMENT


@pytest.fixture(scope='module')
def graph(runtime, tmp_path_factory):
    """The fake graph, started without `up`."""
    log = tmp_path_factory.mktemp('graph') / 'log'
    names = ('simulator', 'fast_learner', 'slow_learner')
    with log.open('w') as output:
        nodes = [
            subprocess.Popen(
                [sys.executable, '-m', f'fake_graph.nodes.{name}', '--ros-args', '-r', '__ns:=/cli'],
                env={**os.environ, **FAKE_ENVIRONMENT},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            for name in names
        ]
    try:
        wait_until(lambda: run_quietly('status', '--namespace', 'cli') == 0, 30.0, 'graph')
        yield nodes
        for node in nodes:
            node.send_signal(signal.SIGINT)
        assert [node.wait(40) for node in nodes] == [0, 0, 0], log.read_text()
    finally:
        for node in nodes:
            node.kill()


def run_quietly(*args):
    return subprocess.run([sys.executable, '-m', 'cls_cli', *args], capture_output=True).returncode


@pytest.mark.parametrize('home', [{}, {'HOME': '/dev/null'}])
def test_commands_join_ros_without_a_home(runtime, home):
    environment = {name: value for name, value in os.environ.items() if name not in ('HOME', 'ROS_HOME', 'ROS_LOG_DIR')}
    command = [sys.executable, '-m', 'cls_cli', 'status', '--namespace', 'absent']
    done = subprocess.run(command, env={**environment, **home}, capture_output=True, text=True)
    assert done.stdout.startswith('not running') and (done.returncode, done.stderr) == (1, '')


def run(capsys, *args):
    status = entry.main(args)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_and_models_answer_fast_and_import_nothing_heavy(tmp_path):
    for args in (['--help'], ['models', 'list', '--models-dir', str(tmp_path)], ['up', '--help']):
        begun = time.monotonic()
        command = [sys.executable, '-X', 'importtime', '-m', 'cls_cli', *args]
        done = subprocess.run(command, capture_output=True, text=True)
        assert time.monotonic() - begun < 3.0
        assert done.returncode == 0
        imported = {line.rsplit('|', 1)[1].strip() for line in done.stderr.splitlines() if '|' in line}
        assert not imported & {'torch', 'rclpy', 'cv2'}


@pytest.mark.parametrize(
    'args, text',
    [
        (['nonsense'], "No such command 'nonsense'"),
        (
            ['up', '--robot', 'submarine'],
            'corridor, memory_chain, sim, square, stub, task_switching, toroidal_dot, pan_tilt, jetbot or',
        ),
        (['up', '--steps', 'many'], "'many' is not a valid integer"),
        (['up', '--report', '/nowhere/report.json'], 'expected an existing folder'),
        (['up', '--params-file', '/nowhere/x.yaml'], 'is missing'),
        (['mode', 'sulk'], "'sulk' is not one of"),
        (['models', 'hash', 'other', '--models-dir', '/nowhere'], "no model 'other' in /nowhere"),
        (['models', 'show', '../secrets', '--models-dir', '/tmp'], "no model '../secrets'"),
        (['run-visual-learning'], 'no serial port was given'),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, args, text):
    status, _, err = run(capsys, *args)
    assert status == 2
    assert err.startswith('error: ') and text in err and err.count('\n') == 1


def test_an_empty_list_of_models_is_reported(capsys, tmp_path):
    for args in (['models', 'list'], ['run-visual-learning', '--list-models']):
        assert run(capsys, *args, '--models-dir', str(tmp_path)) == (0, 'No models found.\n', '')


def test_a_missing_graph_is_reported(capsys, runtime):
    status, out, _ = run(capsys, 'status', '--namespace', 'absent')
    assert status == 1 and out.startswith('not running')
    status, _, err = run(capsys, 'mode', 'random', '--namespace', 'absent')
    assert status == 2 and "no answer of 'set_mode'" in err and 'expected fast_learner to run' in err


def test_status_asks_the_graph_if_no_up_runs(capsys, graph):
    def ask():
        status, out, _ = run(capsys, 'status', '--json', '--namespace', 'cli')
        found = json.loads(out)
        # On a busy machine one of the two may come too late for the answer.
        return found if status == 0 and found['steps'] and found['headlines']['skill'].get('slow') else None

    found = wait_until(ask, 20.0, 'both learners')
    assert found['running'] and found['model'] == 'fake' and found['phase'] == 'wake'
    assert found['headlines'] == {'skill': {'fast': None, 'slow': 0.5}}


def test_status_prints_one_line_per_value():
    text = as_text({'steps': 3, 'rate_hz': 12.3456, 'skill': {'fast': None, 'slow': 0.5}, 'losses': {}})
    assert text.splitlines() == ['steps                 3', 'rate_hz               12.35', 'skill.slow            0.5']


def test_services_are_called_and_answer(capsys, graph):
    assert run(capsys, 'mode', 'manual', '--namespace', 'cli') == (0, 'mode manual\n', '')
    assert run(capsys, 'save', '--namespace', 'cli')[1].startswith('generation ')
    assert run(capsys, 'stop', '--namespace', 'cli') == (0, 'stopped\n', '')
    assert run(capsys, 'rearm', '--namespace', 'cli') == (0, 'ready\n', '')


def test_sleep_shows_its_result(capsys, graph):
    status, out, _ = run(capsys, 'sleep', '--phase', 'sws=20', '--namespace', 'cli')
    assert status == 0 and 'slept (error code 0)' in out and 'steps: sws 20' in out
    assert 'avg_l_ms' not in out


def test_ctrl_c_wakes_the_learner(graph):
    command = [sys.executable, '-m', 'cls_cli', 'sleep', '--sws', '5000', '--namespace', 'cli']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: _status().get('phase') == 'sws', 20.0, 'asleep')
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 1
    assert 'cancelled (error code 106): woken' in out


def _status():
    command = [sys.executable, '-m', 'cls_cli', 'status', '--json', '--namespace', 'cli']
    out = subprocess.run(command, capture_output=True, text=True).stdout
    return json.loads(out) if out else {}  # not answered in time: asked again


@pytest.mark.parametrize('count, text', [(0, '0 B'), (999, '999 B'), (1500, '1.5 kB'), (2**40, '1099.5 GB')])
def test_sizes_have_units(count, text):
    assert size(count) == text


def test_models_are_listed_with_whole_names_at_any_width(capsys, monkeypatch):
    from cls_cli.commands.models import show_table
    from cls_learning.model_store.listing import ModelSummary

    monkeypatch.setenv('COLUMNS', '40')
    name = 'a-model-with-a-name-of-some-length-that-is-typed'
    show_table([ModelSummary(name, '2026-01-02T03:04:05', 1000, 2, 1, 'early_resnet18', 'gym:CartPole-v1', 12, '')])
    head, row = capsys.readouterr().out.splitlines()
    assert row.split() == [name, '1,000', '2', 'early_resnet18', 'gym:CartPole-v1', '12', 'B', '2026-01-02T03:04:05']
    assert head == head.rstrip() and row == row.rstrip()
