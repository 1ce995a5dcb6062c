"""Logs of ROS 2 go to a writable folder for any HOME."""

import os
import subprocess
import sys

import pytest

from cls_common.runtime_folder import fallback_log_folder, provide_log_folder, ros_log_folder

# No user, root neither, can make a folder below a device.
UNUSABLE = {'HOME': '/dev/null'}
# A node that ends at once, run as every node is.
NODE = """
import sys
from rclpy.node import Node
from cls_common.nodes.runner import run

class Done(Node):
    finished = True

sys.exit(run(lambda: Done('done')))
"""


@pytest.fixture
def environment(monkeypatch):
    for name in ('HOME', 'ROS_HOME', 'ROS_LOG_DIR'):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize('home', [{}, UNUSABLE, {'HOME': ''}, {'HOME': '/dev/null', 'ROS_HOME': '/dev/null/ros'}])
def test_logs_go_to_the_run_folder_where_ros_could_not_write_them(environment, home):
    for name, value in home.items():
        environment.setenv(name, value)
    provide_log_folder()
    assert ros_log_folder() == fallback_log_folder()
    assert ros_log_folder().is_dir()


def test_a_folder_that_can_be_written_is_left_as_chosen(environment, tmp_path):
    environment.setenv('HOME', str(tmp_path))
    provide_log_folder()
    assert 'ROS_LOG_DIR' not in os.environ and ros_log_folder() == tmp_path / '.ros' / 'log'
    environment.setenv('ROS_HOME', str(tmp_path / 'ros'))
    provide_log_folder()
    assert 'ROS_LOG_DIR' not in os.environ and ros_log_folder() == tmp_path / 'ros' / 'log'
    environment.setenv('ROS_LOG_DIR', str(tmp_path / 'logs'))
    provide_log_folder()
    assert os.environ['ROS_LOG_DIR'] == str(tmp_path / 'logs')


@pytest.mark.parametrize('home', [{}, UNUSABLE])
def test_a_node_starts_without_a_home(environment, home):
    done = subprocess.run(
        [sys.executable, '-c', NODE], env={**os.environ, **home}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, '')
