"""`up` as real processes over the fake graph: ready, keys, crashes, mistakes, every way to end."""

import json
import os
from pathlib import Path
import pty
import re
import signal
import subprocess
import sys

from fake_graph.screen import Screen
from watching import descendants, is_running, wait_until

from cls_bringup.nodes.graph_client import connect

ALL = {'simulator', 'fast_learner', 'slow_learner'}


def assert_all_gone(pids, timeout=10.0):
    wait_until(lambda: not any(map(is_running, pids)), timeout, 'every process gone')


def test_steps_end_the_run_saved_and_reported(up, tmp_path):
    report, saves = tmp_path / 'report.json', tmp_path / 'saves'
    run = up(fast_learner={'max_steps': 30}, slow_learner={'saves': str(saves)}, options={'report': str(report)})
    assert run.process.wait(40) == 0, run.output.read_text()
    text = run.output.read_text()
    assert f'export ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}' in text
    assert 'export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST' in text
    assert f'export FASTRTPS_DEFAULT_PROFILES_FILE={os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"]}' in text
    result = json.loads(report.read_text())
    assert result['exit'] == 'clean' and result['steps'] == 30 and result['restarts'] == {}
    assert result['metrics'] == {
        'fast': {'fast_loss': 0.25, 'skill': None},
        'slow': {'slow_raw': 0.5, 'skill': 0.5},
    }
    assert result['headlines'] == {'skill': {'fast': None, 'slow': 0.5}}
    assert 0 < result['startup_seconds'] < 30
    assert saves.read_text() == 'generation 1\n'


def test_keys_of_the_live_view_reach_the_graph(up, runtime, tmp_path):
    saves = tmp_path / 'saves'
    master, slave = pty.openpty()
    run = up(popen={'stdin': slave, 'stdout': slave}, slow_learner={'saves': str(saves)}, simulator={})
    os.close(slave)
    shown = Screen(master)
    run.await_ready()
    shown.wait_for('phase')
    os.write(master, b'w')
    shown.wait_for('press 1')
    os.write(master, b'1')
    run.await_status(lambda status: status['mode'] == 'manual', 'manual mode')
    steps = run.status()['steps']
    missed = shown.press_for(b'd', 'teleop [-5.0, 0.0]') - 1
    os.write(master, b'w')
    shown.wait_for('teleop [0.0, 5.0]')
    run.await_status(lambda status: steps + 2 <= status['steps'] <= steps + 2 + missed, 'one step a key')
    os.write(master, b'c')
    wait_until(lambda: saves.exists(), 40.0, 'saved')
    os.write(master, b'e')
    shown.wait_for('stopped by emergency_stop')
    os.write(master, b'3')
    run.await_status(lambda status: status['mode'] == 'curiosity', 'curiosity')
    os.write(master, b'q')
    shown.wait_for('ended cleanly')
    assert run.process.wait(40) == 0
    assert saves.read_text() == 'generation 1\ngeneration 2\n'


def test_a_killed_node_comes_back_and_ctrl_c_saves(up, tmp_path):
    saves, report = tmp_path / 'saves', tmp_path / 'report.json'
    run = up(fast_learner={'prints_pid': True}, slow_learner={'saves': str(saves)}, options={'report': str(report)})
    run.await_ready()
    before = run.node_pids()
    assert set(before) == ALL
    os.kill(before['fast_learner'], signal.SIGKILL)
    run.await_status(lambda status: status['restarts'] == {'fast_learner': 1}, 'restart')
    run.await_status(lambda status: status['metrics']['fast']['pid'] != before['fast_learner'], 'the new one speaks')
    pids = descendants(run.process.pid)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(40) == 0, run.output.read_text()
    assert saves.read_text() == 'generation 1\n'
    assert json.loads(report.read_text())['restarts'] == {'fast_learner': 1}
    assert_all_gone(pids)


def test_a_mistake_is_one_line_and_ends_everything(up):
    run = up(slow_learner={'refusal': 'model x is in use by process 7. End that'})
    assert run.process.wait(40) == 2
    text = run.output.read_text()
    assert text.rstrip().endswith('error: slow_learner: model x is in use by process 7. End that')
    assert 'Traceback' not in text


def test_no_child_outlives_a_killed_up(up):
    run = up()
    run.await_ready()
    pids = descendants(run.process.pid)
    assert len(pids) >= 3
    run.process.kill()
    run.process.wait(40)
    assert_all_gone(pids)


def test_a_graph_that_is_never_ready_names_the_missing_node(up):
    run = up(fast_learner={'mode': 'random', 'silent': True}, options={'startup_timeout': 4.0})
    assert run.process.wait(40) == 1
    text = run.output.read_text()
    # On a busy machine the other one may not have been heard either.
    assert re.search(r'error: not ready after 4 s: (fast|slow)_learner has no status yet', text)
    [folder] = [line.removeprefix('logs: ') for line in text.splitlines() if line.startswith('logs: ')]
    assert os.path.exists(f'{folder}/fast_learner.log')


def test_an_end_during_sleep_discards_the_sleep_and_saves(up, tmp_path):
    saves = tmp_path / 'saves'
    run = up(slow_learner={'saves': str(saves)})
    run.await_ready()
    command = [sys.executable, '-m', 'cls_cli', 'sleep', '--sws', '100000']
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sleeper:
        run.await_status(lambda status: status['phase'] == 'sws', 'asleep')
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(40) == 0, run.output.read_text()
        assert sleeper.wait(40) == 1, 'a sleep of a quarter of an hour was cancelled'
    assert saves.read_text() == 'generation 1\n'


def test_a_closed_terminal_ends_the_graph_in_order(up):
    run = up()
    run.await_status(lambda status: len(status['processes']) == 3, 'processes')
    run.process.send_signal(signal.SIGHUP)
    assert run.process.wait(40) == 0, run.output.read_text()


def test_up_is_refused_beside_another_learner_which_keeps_running(up):
    command = [sys.executable, '-m', 'fake_graph.nodes.fast_learner']
    path = f'{Path(__file__).parent}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    with subprocess.Popen(command, env={**os.environ, 'PYTHONPATH': path}) as learner:
        try:
            with connect() as client:
                wait_until(client.count_learners, 30, 'the learner')
            run = up()
            assert run.process.wait(60) == 2
            assert run.output.read_text().rstrip().endswith('End it, or set another ROS_DOMAIN_ID.')
            assert learner.poll() is None
        finally:
            learner.kill()
