"""How a node's process ends: real processes, real signals, an exit status and at most one line for people."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import statistics
import subprocess
import sys
import threading
import time

import pytest

from cls_interfaces.msg import RobotState

SCRIPT = Path(__file__).with_name('ending_nodes.py')
LIMIT = 2.0  # s from the signal to the end, as a rule
HANGING = 10.0  # s after which no busy machine excuses it: a supervisor would kill, without torque-off


class Nodes:
    """The processes of ending_nodes.py, and what they said so far."""

    def __init__(self, process: 'subprocess.Popen[str]') -> None:
        self.process = process
        self.said: list[list[str]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self.said.append(line.split())
                self._news.notify_all()

    def wait(self, word: str, count: int, timeout: float = 30.0) -> list[list[str]]:
        """Returns the first `count` lines that begin with `word`, as soon as they are there."""

        def found() -> list[list[str]]:
            return [line[1:] for line in self.said if line[0] == word]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= count, timeout), (word, self.said)
            return found()

    def has_said(self, word: str, within: float) -> bool:
        """Returns whether a line begins with `word`, after at most `within` s."""
        with self._news:
            return self._news.wait_for(lambda: any(line[0] == word for line in self.said), within)


@contextlib.contextmanager
def running(kind: str, count: int = 1, *arguments: str) -> Iterator[Nodes]:
    process = subprocess.Popen(
        # Python 3.12 warns of forks beside threads; these have none that hold a lock yet.
        [sys.executable, '-W', 'ignore::DeprecationWarning', str(SCRIPT), kind, str(count), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield Nodes(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end(kind: str, number: signal.Signals, count: int) -> tuple[list[int], list[float], int]:
    """Starts `count` nodes, signals each, returns exit statuses, seconds to the end, and how many closed in order."""
    with running(kind, count) as nodes:
        sent = {}
        for ended, (pid,) in enumerate(nodes.wait('ready', count), 1):
            sent[pid] = time.monotonic()
            os.kill(int(pid), number)
            if kind != 'starting':  # one after the other: ends that share two cores would measure each other
                nodes.wait('ended', ended)
        if kind == 'starting':
            assert nodes.process.stdin
            nodes.process.stdin.write('x' * count)
            nodes.process.stdin.flush()
        ended = nodes.wait('ended', count)
        closed = [pid for pid, alive in nodes.wait('closed', count) if alive == 'True']
    statuses = [int(status) for _, status, _ in ended]
    return statuses, [float(at) - sent[pid] for pid, _, at in ended], len(set(closed))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize(('kind', 'count'), [('ticking', 6), ('idle', 3), ('threads', 3), ('starting', 6)])
def test_signals_end_a_node_in_order_and_in_time(kind: str, number: signal.Signals, count: int) -> None:
    statuses, seconds, closed = end(kind, number, count)
    assert statuses == [0] * count
    assert closed == count
    assert statistics.median(seconds) < LIMIT
    assert max(seconds) < HANGING


def finish(kind: str, *arguments: str) -> tuple[int, str, list[list[str]]]:
    """Runs one node to its own end: exit status, stderr, what it said."""
    with running(kind, 1, *arguments) as nodes:
        ((_, status, _),) = nodes.wait('ended', 1)
        assert nodes.process.stderr
        nodes.process.wait(10)
        return int(status), nodes.process.stderr.read(), nodes.said


def errors(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith('error: ')]


def test_a_node_that_is_finished_ends_itself() -> None:
    status, stderr, said = finish('finishing')
    assert status == 0
    assert stderr == ''
    assert [line[0] for line in said].count('closed') == 1


def test_a_user_error_in_the_constructor_is_one_line_and_status_2() -> None:
    status, stderr, _ = finish('refusing')
    assert status == 2
    assert stderr == 'error: camera 7; expected a camera; found nothing. Plug it in.\n'


def test_a_user_error_while_running_closes_the_node_and_is_one_line_of_its_log() -> None:
    status, stderr, said = finish('failing')
    assert status == 2
    (line,) = stderr.splitlines()
    assert line.startswith('[FATAL]')
    assert line.endswith('error: board; expected an answer; found silence for a second')
    assert [line[2] for line in said if line[0] == 'closed'] == ['True']


def test_a_defect_shows_its_traceback_and_still_closes_the_node() -> None:
    status, stderr, said = finish('crashing')
    assert status == 1
    assert 'RuntimeError: a defect' in stderr
    assert [line[2] for line in said if line[0] == 'closed'] == ['True']


@pytest.mark.parametrize(
    'arguments', [('-p', 'nonsense'), ('--params-file', '/absent.yaml'), ('--log-level', 'loud'), ('--nonsense',)]
)
def test_wrong_ros_arguments_are_one_error_and_status_2(arguments: tuple[str, ...]) -> None:
    status, stderr, _ = finish('ticking', '--ros-args', *arguments)
    assert status == 2
    assert len(errors(stderr)) == 1
    assert 'Traceback' not in stderr


def test_a_second_signal_does_not_break_the_orderly_end() -> None:
    with running('ticking') as nodes:
        ((pid,),) = nodes.wait('ready', 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(int(pid), number)
        ((_, status, _),) = nodes.wait('ended', 1)
        assert int(status) == 0
        assert [line[0] for line in nodes.said].count('closed') == 1


@pytest.mark.parametrize(('kind', 'expected'), [('winding', 0), ('losing', 1)])
def test_a_node_that_winds_down_is_spun_until_it_is_done_and_reports_a_loss(kind: str, expected: int) -> None:
    with running(kind) as nodes:
        ((pid,),) = nodes.wait('ready', 1)
        os.kill(int(pid), signal.SIGINT)
        ((_, status, _),) = nodes.wait('ended', 1)
        assert int(status) == expected
        assert [line[0] for line in nodes.said] == ['ready', 'winding', 'closed', 'ended']


def test_signals_of_one_request_to_end_do_not_cut_the_winding_down_short() -> None:
    # launch and a service manager signal a process that the terminal or the control group has signalled already.
    with running('losing') as nodes:
        ((pid,),) = nodes.wait('ready', 1)
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(int(pid), number)
        ((_, status, _),) = nodes.wait('ended', 1)
        assert int(status) == 1
        assert [line[0] for line in nodes.said] == ['ready', 'winding', 'closed', 'ended']


def test_a_later_signal_ends_a_node_that_winds_down_for_ever() -> None:
    with running('stubborn') as nodes:
        ((pid,),) = nodes.wait('ready', 1)
        os.kill(int(pid), signal.SIGINT)
        nodes.wait('winding', 1)
        while not nodes.has_said('ended', within=0.2):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGINT)
        ((_, status, _),) = nodes.wait('ended', 1)
        assert int(status) == 0
        assert [line[0] for line in nodes.said].count('closed') == 1


def test_the_last_message_reaches_a_reader_that_is_late() -> None:
    with running('listening') as listener, running('telling') as node:
        ((pid,),) = node.wait('heard', 1)
        os.killpg(listener.process.pid, signal.SIGSTOP)
        os.kill(int(pid), signal.SIGINT)
        node.wait('closed', 1)
        assert not node.has_said('ended', within=0.5)
        os.killpg(listener.process.pid, signal.SIGCONT)
        ((_, status, _),) = node.wait('ended', 1)
        assert int(status) == 0
        assert listener.wait('state', 1) == [[str(RobotState.STOPPED)]]


def test_a_reader_that_hangs_does_not_keep_a_node_from_ending() -> None:
    with running('listening') as listener, running('telling') as node:
        ((pid,),) = node.wait('heard', 1)
        os.killpg(listener.process.pid, signal.SIGSTOP)
        os.kill(int(pid), signal.SIGINT)
        ((_, status, _),) = node.wait('ended', 1)
        assert int(status) == 0
