"""`./cls record` as a person uses it: progress line, Ctrl-C, and a whole session in the named folder."""

import os
from pathlib import Path
import pty
import signal
import subprocess
import sys
import time

import pytest
import rclpy

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_robot_info, to_time
from cls_common.robot import RobotInfo
from cls_interfaces.msg import AppliedAction
from cls_recording.reader import SessionReader

DEADLINE = 60.0


@pytest.fixture
def robot():
    """A robot in namespace /far that publishes applied actions on request."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('robot', context=context, namespace='far')
    info = qos.publisher(node, comms.ROBOT_INFO)
    info.publish(to_robot_info(RobotInfo('twin', ('camera',), ()), to_time(1)))
    yield node, qos.publisher(node, comms.APPLIED_ACTION)
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def record(*arguments, **options) -> subprocess.Popen:
    command = [sys.executable, '-m', 'cls_cli', 'record', *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def await_listener(publisher) -> None:
    end = time.monotonic() + DEADLINE
    while not publisher.get_subscription_count():
        assert time.monotonic() < end, 'no subscriber'
        time.sleep(0.05)


def read_until(descriptor, wanted: str) -> str:
    said, end = '', time.monotonic() + DEADLINE
    while wanted not in said:
        assert time.monotonic() < end, said
        said += os.read(descriptor, 4096).decode()
    return said


def test_a_line_shows_the_progress_and_ctrl_c_ends_it_with_a_whole_session(robot, tmp_path):
    _, publisher = robot
    ours, theirs = pty.openpty()
    process = record('mine', '--sessions-dir', tmp_path, '--namespace', 'far', stdout=theirs)
    os.close(theirs)
    await_listener(publisher)
    for sequence in range(10):
        publisher.publish(AppliedAction(source='test', sequence=sequence))
    read_until(ours, 'synced 11')
    second = record('other', '--sessions-dir', tmp_path, '--namespace', 'far', stdout=subprocess.PIPE)
    _, wrong = second.communicate(timeout=DEADLINE)
    assert second.returncode == 2 and 'error: a recorder runs already' in wrong.strip().splitlines()[-1]
    process.send_signal(signal.SIGINT)
    folder = tmp_path / 'twin' / 'mine'
    assert f'{folder}\r\n' in read_until(ours, f'{folder}\r\n')
    assert process.wait(DEADLINE) == 0, process.stderr.read()
    os.close(ours)
    with SessionReader(folder) as session:
        assert session.topics['robot/applied_action'].count == 10
        assert session.info.robot.name == 'twin'


def test_mistakes_are_one_line(tmp_path):
    for arguments, reason in ((['../up'], 'session name'), (['--budget-gb', '0'], 'budget-gb')):
        process = record(*arguments, '--sessions-dir', tmp_path, stdout=subprocess.PIPE)
        _, wrong = process.communicate(timeout=DEADLINE)
        assert process.returncode == 2 and wrong.startswith('error: ') and reason in wrong and wrong.count('\n') == 1
    assert list(Path(tmp_path).iterdir()) == []
