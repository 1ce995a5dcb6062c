"""Command lines, the restart policy, and the supervisor itself over small real processes."""

import json
import os
from pathlib import Path
import signal
import sys
import tempfile
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from watching import descendants, is_running, wait_until
import yaml

from cls_bringup.graph import Process
from cls_bringup.run_directory import find_status, RunDirectory
from cls_bringup.supervision import supervisor as supervision
from cls_bringup.supervision.commands import dies_with_parent, find_config, node_command, parameter_text
from cls_bringup.supervision.restarts import Ended, MOST_CRASHES, RestartPolicy
from cls_bringup.supervision.supervisor import Supervisor
from cls_common.errors import UserError

PRINTABLE = st.text(st.characters(exclude_categories=['C', 'Zl', 'Zp']), max_size=20)


def test_a_node_gets_files_then_parameters_and_sigint_with_its_parent(tmp_path):
    file = tmp_path / 'mine.param.yaml'
    file.write_text('{}')
    process = Process('encoder', 'cls_perception', {'model': '123', 'threads': 1, 'deep': True}, (str(file),))
    command = node_command(process, 'robot_1', 'debug')
    assert command[1:5] == ['--pdeathsig', 'INT', '--', sys.executable]
    module = command.index('-m') + 1
    assert command[module : module + 2] == ['cls_common.node_process', 'cls_perception.nodes.encoder']
    ros = command[command.index('--ros-args') :]
    assert ros == [
        '--ros-args',
        '-r',
        '__node:=encoder',
        '-r',
        '__ns:=/robot_1',
        '--params-file',
        str(file),
        '-p',
        'model:="123"',
        '-p',
        'threads:=1',
        '-p',
        'deep:=true',
        '--log-level',
        'debug',
    ]


@given(st.one_of(PRINTABLE, st.integers(-(2**31), 2**31), st.booleans(), st.floats(-1e9, 1e9)))
def test_parameters_read_back_as_they_were(value):
    again = yaml.safe_load(parameter_text(value))
    assert again == value and type(again) is type(value)


def test_parameter_files_are_found_by_name_in_the_workspace(tmp_path, monkeypatch):
    (tmp_path / 'config').mkdir()
    (tmp_path / 'config' / 'sim.param.yaml').write_text('{}')
    monkeypatch.setenv('CLS_ROOT', str(tmp_path))
    assert find_config('sim.param.yaml') == tmp_path / 'config' / 'sim.param.yaml'
    with pytest.raises(UserError, match=r'nothing\.yaml'):
        find_config('nothing.yaml')


def test_crashes_are_restarted_with_growing_delays_until_the_fifth():
    policy, now, delays = RestartPolicy(), 0.0, []
    policy.saw_running('node', now)
    while (ended := policy.saw_end('node', -1, now)) is None:
        crash = now
        while not policy.due(now):
            now += 0.5
        delays.append(now - crash)
        policy.saw_running('node', now)
    assert delays == [1.0, 2.0, 4.0, 8.0] and len(delays) == MOST_CRASHES - 1
    assert ended == Ended('node', -1, MOST_CRASHES) and policy.restarts == {'node': 4}


def test_a_crash_after_a_healthy_time_counts_as_the_first():
    policy = RestartPolicy()
    now = 0.0
    for _ in range(20):
        policy.saw_running('node', now)
        now += 60.0
        assert policy.saw_end('node', 1, now) is None
        now += 1.0
        assert policy.due(now) == ['node']


@pytest.mark.parametrize('status, is_mistake', [(2, True), (0, False)])
def test_an_orderly_end_ends_everything(status, is_mistake):
    ended = RestartPolicy().saw_end('node', status, 1.0)
    assert ended is not None and ended.is_user_error is is_mistake


# Ends with 0 on SIGINT and prints so.
PATIENT = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(print('bye') or 0))
print('up', flush=True)
while True: signal.pause()
"""
RUDE = PATIENT.replace("print('bye') or 0", '3')
MISTAKEN = 'import sys; print("{}error: no board at /dev/x. Plug it in", file=sys.stderr); sys.exit(2)'


@pytest.fixture
def supervise(runtime, tmp_path):
    opened = []

    def start(**programs):
        commands = {}
        for name, program in programs.items():
            file = tmp_path / f'{name}.py'
            file.write_text(program)
            # Started as nodes are: with a signal when the parent ends.
            commands[name] = [*dies_with_parent('INT'), sys.executable, str(file)]
        directory = RunDirectory.create()
        opened.append((directory, Supervisor(directory.path, commands)))
        return opened[-1][1]

    yield start
    for directory, supervisor in opened:
        supervisor.close()
        directory.close(keep=False)


def watch_until(supervisor, condition, what):
    def turn():
        return supervisor.watch(time.monotonic()) or condition()

    return wait_until(turn, 40.0, what)


def wait_for_log(supervisor, name, text):
    wait_until(lambda: supervisor.log(name).exists() and text in supervisor.log(name).read_text(), 40.0, text)


def test_all_processes_get_sigint_and_their_exit_statuses_are_returned(supervise):
    supervisor = supervise(polite=PATIENT, rude=RUDE)
    for name in ('polite', 'rude'):
        wait_for_log(supervisor, name, 'up')
    supervisor.ask_to_end()
    assert {state.name: state.status for state in supervisor.await_end()} == {'polite': 0, 'rude': 3}
    assert 'bye' in supervisor.log('polite').read_text()


def test_a_recorder_ends_when_all_others_have(supervise, tmp_path):
    last = str(tmp_path / 'last')
    late = PATIENT.replace("print('bye') or 0", f'time.sleep(0.5) or open({last!r}, "w").close()')
    recorder = PATIENT.replace("'bye'", f'os.path.exists({last!r})')
    supervisor = supervise(recorder=recorder, simulator=late)
    for name in ('recorder', 'simulator'):
        wait_for_log(supervisor, name, 'up')
    supervisor.ask_to_end()
    assert {state.name: state.status for state in supervisor.await_end()} == {'recorder': 0, 'simulator': 0}
    assert supervisor.log('recorder').read_text() == 'up\nTrue\n'


def test_a_long_temporary_folder_is_no_obstacle(supervise, tmp_path, monkeypatch):
    folder = tmp_path / ('long' * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    monkeypatch.delenv('XDG_RUNTIME_DIR')
    supervisor = supervise(polite=PATIENT)
    assert folder in supervisor.directory.parents
    wait_for_log(supervisor, 'polite', 'up')
    supervisor.ask_to_end()
    assert [state.status for state in supervisor.await_end()] == [0]


def test_a_killed_process_is_restarted(supervise):
    supervisor = supervise(node=PATIENT)
    wait_for_log(supervisor, 'node', 'up')
    [state] = supervisor.states()
    assert supervisor.watch(time.monotonic()) is None
    os.kill(state.pid, signal.SIGKILL)
    is_back = watch_until(
        supervisor, lambda: any(s.is_up and s.pid not in (0, state.pid) for s in supervisor.states()), 'back'
    )
    assert is_back is True and supervisor.policy.restarts == {'node': 1}


@pytest.mark.parametrize('prefix', ['', '[FATAL] [1795642365.5] [node]: '], ids=['printed', 'logged'])
def test_a_user_error_is_distinguished_from_a_crash(supervise, prefix):
    supervisor = supervise(node=MISTAKEN.format(prefix), other=PATIENT)
    ended = watch_until(supervisor, lambda: None, 'end')
    assert ended.is_user_error and ended.name == 'node'
    assert supervisor.last_error('node') == 'no board at /dev/x. Plug it in'


def test_a_command_that_cannot_be_started_is_one_line_and_leaves_nothing_running(runtime):
    directory, before = RunDirectory.create(), set(descendants(os.getpid()))
    with pytest.raises(UserError, match=r'could not be started.*no_such_program') as caught:
        Supervisor(directory.path, {'node': [sys.executable, '-c', PATIENT], 'other': ['no_such_program']})
    assert '\n' not in str(caught.value)
    directory.close(keep=False)
    assert not [pid for pid in set(descendants(os.getpid())) - before if is_running(pid)]


def test_a_process_that_hangs_is_killed(supervise, monkeypatch):
    monkeypatch.setattr(supervision, 'STOP_WAIT', 0.5)
    supervisor = supervise(deaf=PATIENT.replace("sys.exit(print('bye') or 0)", 'None'))
    wait_for_log(supervisor, 'deaf', 'up')
    supervisor.ask_to_end()
    [state] = supervisor.await_end()
    assert state.status == -signal.SIGKILL


def test_a_log_that_grows_too_long_becomes_the_backup(supervise, monkeypatch):
    monkeypatch.setattr(supervision, '_LOG_BYTES', 1000)
    supervisor = supervise(node="import sys\nprint('x' * 2000, flush=True)\n" + PATIENT.replace("'up'", "'later'"))
    wait_for_log(supervisor, 'node', 'later')
    assert supervisor.watch(time.monotonic()) is None
    backup = supervisor.log('node').with_suffix('.log.1')
    assert len(backup.read_text()) > 2000 and supervisor.log('node').stat().st_size == 0
    supervisor.ask_to_end()
    supervisor.await_end()
    assert supervisor.log('node').read_text() == 'bye\n', 'it goes on at the new end'


@given(st.lists(PRINTABLE, min_size=1, max_size=4))
@settings(max_examples=10, deadline=None)
def test_arguments_arrive_as_they_are(arguments):
    with tempfile.TemporaryDirectory() as folder:
        code = 'import json, sys; print(json.dumps(sys.argv[1:]))'
        supervisor = Supervisor(Path(folder), {'node': [sys.executable, '-S', '-c', code, *arguments]})
        assert [state.status for state in supervisor.await_end()] == [0]
        assert json.loads(supervisor.log('node').read_text()) == arguments


def test_status_is_found_only_while_fresh_and_its_process_runs(runtime):
    directory = RunDirectory.create()
    directory.write_status({'namespace': '', 'steps': 3})
    found = find_status('')
    assert found is not None and found['steps'] == 3 and found['pid'] == os.getpid()
    assert find_status('other') is None
    directory.close(keep=True)
    assert find_status('') is None
    assert directory.path.is_dir()


def test_only_the_newest_log_folders_are_kept(runtime):
    for _ in range(9):
        RunDirectory.create().close(keep=True)
    assert len(list((runtime / 'cls').glob('run-*'))) <= 6
