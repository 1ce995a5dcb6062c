"""How a node's process begins and ends: an interrupt while importing, exit statuses, no teardown of the interpreter."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest

TIMEOUT = 60.0
PIPES: dict[str, Any] = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
Start = Callable[[str], 'subprocess.Popen[str]']

# Says that its import began, then goes on importing until an interrupt comes.
IMPORTING = """
import threading
print('importing', flush=True)
while True:
    threading.Event().wait(0.05)
"""
ENDING = """
import atexit, sys
atexit.register(print, 'teardown')
print('not flushed', end='')

def main():
    print(*sys.argv[1:], file=sys.stderr, end='')
    {}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Returns a function that starts `toys.nodes.toy` with the given source, as the supervisor starts nodes."""
    started: list[subprocess.Popen[str]] = []

    def begin(source: str) -> 'subprocess.Popen[str]':
        write_toy(tmp_path, source)
        command = [sys.executable, '-m', 'cls_common.node_process', 'toys.nodes.toy', '--some', 'argument']
        started.append(subprocess.Popen(command, env=environment(tmp_path), **PIPES))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def write_toy(folder: Path, source: str) -> None:
    nodes = folder / 'toys' / 'nodes'
    nodes.mkdir(parents=True)
    (nodes / 'toy.py').write_text(source)


def environment(folder: Path) -> dict[str, str]:
    path = f'{folder}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    return {**os.environ, 'PYTHONPATH': path, 'PYTHONUNBUFFERED': ''}


def test_an_interrupt_while_importing_ends_quietly_with_status_130(start: Start) -> None:
    process = start(IMPORTING)
    assert process.stdout is not None
    assert process.stdout.readline() == 'importing\n'
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=TIMEOUT) == ('', '')
    assert process.returncode == 130


@pytest.mark.parametrize('status', [0, 1, 2])
def test_a_process_ends_with_the_status_of_its_node_without_teardown(start: Start, status: int) -> None:
    process = start(ENDING.format(f'return {status}'))
    assert process.communicate(timeout=TIMEOUT) == ('not flushed', '--some argument')
    assert process.returncode == status


def test_a_defect_shows_its_traceback_and_is_status_1(start: Start) -> None:
    process = start(ENDING.format("raise RuntimeError('a defect')"))
    _, errors = process.communicate(timeout=TIMEOUT)
    assert 'RuntimeError: a defect' in errors
    assert process.returncode == 1


def test_a_reader_that_is_gone_does_not_change_the_status(tmp_path: Path) -> None:
    write_toy(tmp_path, ENDING.format('sys.stdin.read(1)\n    return 0'))
    command = [sys.executable, '-m', 'cls_common.node_process', 'toys.nodes.toy']
    with subprocess.Popen(command, env=environment(tmp_path), stdin=subprocess.PIPE, **PIPES) as process:
        assert process.stdin and process.stdout
        process.stdout.close()
        process.stdin.write('x')
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize('status', [0, 2])
def test_code_that_holds_the_interpreters_lock_does_not_keep_a_process_from_ending(start: Start, status: int) -> None:
    block = f'with node_process.ends_within(1, {status}): ctypes.PyDLL(None).pause()'
    process = start(ENDING.format(f'import ctypes\n    from cls_common import node_process\n    {block}'))
    assert process.communicate(timeout=TIMEOUT) == ('not flushed', '--some argument')
    assert process.returncode == status


def test_a_block_that_ends_in_time_leaves_the_process_alone(start: Start) -> None:
    block = 'with node_process.ends_within(1, 2): pass\n    time.sleep(1.5)'
    process = start(ENDING.format(f'import time\n    from cls_common import node_process\n    {block}\n    return 0'))
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


def test_a_console_script_runs_the_node_that_its_path_names(tmp_path: Path) -> None:
    write_toy(tmp_path, ENDING.format('return 0'))
    script = tmp_path / 'lib' / 'toys' / 'toy'
    script.parent.mkdir(parents=True)
    script.write_text(f'#!{sys.executable}\nfrom cls_common.node_process import main\nmain()\n')
    script.chmod(0o755)
    done = subprocess.run([script, 'x'], env=environment(tmp_path), timeout=TIMEOUT, **PIPES)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'not flushed', 'x')


@pytest.mark.parametrize('name', ['simulator', 'encoder', 'fast_learner', 'slow_learner', 'teleop'])
def test_installed_scripts_refuse_wrong_arguments_in_one_line(name: str) -> None:
    prefixes = os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
    (script,) = {path.resolve() for prefix in prefixes for path in Path(prefix, 'lib').glob(f'cls_*/{name}')}
    done = subprocess.run([script, '--ros-args', '-p', 'nonsense'], timeout=TIMEOUT, **PIPES)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert 'Traceback' not in done.stderr


def test_the_command_line_ends_quietly_when_interrupted_while_importing(tmp_path: Path) -> None:
    # `click` is the first thing that the command line imports.
    (tmp_path / 'click.py').write_text(IMPORTING)
    command = [sys.executable, '-m', 'cls_cli', '--help']
    with subprocess.Popen(command, env=environment(tmp_path), **PIPES) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'importing\n'
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=TIMEOUT) == ('', '')
    assert process.returncode == 130
