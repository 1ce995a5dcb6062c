"""Keys move the robot: through the learner if one runs, else directly."""

from contextlib import contextmanager
import os
import pty
import signal
import subprocess
import sys

from fake_graph.screen import Screen
from watching import wait_until

from conftest import FAKE_ENVIRONMENT


@contextmanager
def node(name, log, *parameters):
    command = [sys.executable, '-m', f'fake_graph.nodes.{name}', '--ros-args', '-r', '__ns:=/tele', *parameters]
    with log.open('w') as output:
        process = subprocess.Popen(
            command, env={**os.environ, **FAKE_ENVIRONMENT}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        process.kill()


@contextmanager
def teleop(*options):
    master, slave = pty.openpty()
    command = [sys.executable, '-m', 'cls_cli', 'teleop', '--namespace', 'tele', *options]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.STDOUT)
    os.close(slave)
    try:
        yield Screen(master), lambda key: os.write(master, key)
        os.write(master, b'q')
        assert process.wait(40) == 0
    finally:
        process.kill()


def press_until(press, key, condition, what):
    # Until the robot and the teleop have found each other a key is answered, not obeyed.
    def turn():
        press(key)
        return condition()

    wait_until(turn, 20.0, what)


def test_keys_move_the_robot_without_a_learner(tmp_path):
    log = tmp_path / 'simulator'
    with node('simulator', log), teleop('--step', '2.5') as (screen, press):
        screen.wait_for('w/s')
        press_until(press, b'w', lambda: 'applied teleop [0.0, 2.5]' in log.read_text(), 'moved')
        press_until(press, b'a', lambda: 'applied teleop [2.5, 0.0]' in log.read_text(), 'moved')


def test_keys_go_to_a_running_learner(tmp_path):
    simulator, learner = tmp_path / 'simulator', tmp_path / 'learner'
    with (
        node('simulator', simulator),
        node('fast_learner', learner, '-p', 'mode:=manual'),
        teleop() as (screen, press),
    ):
        press_until(press, b'z', lambda: 'w/s' in screen.text, 'started')
        wait_until(lambda: 'fast_learner:' in (press(b's') and screen.text), 20.0, 'learner found')
    assert 'tilt -5 deg' in screen.text


def test_a_missing_terminal_is_reported():
    done = subprocess.run(
        [sys.executable, '-m', 'cls_cli', 'teleop'], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert 'error: teleop reads keys; expected a terminal; found none' in done.stderr
