"""Every launch file, run with scripts instead of nodes, see launch_stand_in.py."""

from collections.abc import Callable, Iterator
import contextlib
import itertools
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import yaml

from cls_bringup.graph import describe, GraphOptions
from cls_common.resources import config_dir

ROOT = Path(__file__).resolve().parents[3]
RUN = Path(__file__).with_name('launch_stand_in.py')
PACKAGES = {
    process.name: process.package
    for robot in ('sim', 'pan_tilt', 'jetbot')
    for process in describe(GraphOptions(robot=robot))
}
PACKAGES |= dict.fromkeys(('player', 'recorder', 'frame_writer'), 'cls_recording')
BRAIN = {'encoder', 'fast_learner', 'slow_learner'}
VARIABLES = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
TIMEOUT = 60.0

# A node in shell: keeps what it was given, then does what the test has chosen, or runs until it is interrupted.
NODE = """#!/bin/sh
name=$(basename "$0")
env > "$NODES/$name.env"
trap 'exit 0' INT TERM
echo "start $name $*"
[ -e "$NODES/$name.sh" ] && . "$NODES/$name.sh"
while :; do sleep 0.05; done
"""


class Launched:
    """A running launch file, and the output of it and its nodes so far."""

    def __init__(self, process: 'subprocess.Popen[str]', nodes: Path) -> None:
        self.lines: list[str] = []
        self.nodes = nodes
        self._process = process
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()

    def wait(self, text: str, count: int = 1) -> list[str]:
        """Returns the lines with a text as soon as there are `count`."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= count, TIMEOUT), (text, self.lines)
            return found()

    def end(self) -> int:
        """Interrupts as a terminal does: the whole process group."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.status()

    def status(self) -> int:
        """Waits for the end by itself; returns the exit status."""
        status = self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status

    def variables(self, name: str) -> dict[str, str]:
        """Returns what a node got of the variables that decide on its graph."""
        pairs = [line.partition('=') for line in (self.nodes / f'{name}.env').read_text().splitlines()]
        return {key: value for key, _, value in pairs if key in VARIABLES}

    def parameters(self, name: str) -> tuple[list[str], dict[str, Any]]:
        """Returns the names of a node's parameter files, and the parameters that launch itself wrote for it."""
        words = self.wait(f'start {name} ')[0].split()
        files = [Path(word) for before, word in itertools.pairwise(words) if before == '--params-file']
        own = [file for file in files if file.name.startswith('launch_params_')]
        values = [one['ros__parameters'] for file in own for one in yaml.safe_load(file.read_text()).values()]
        return [file.name for file in files if file not in own], values[0] if values else {}


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Returns a function that runs a launch file with arguments; `shell` adds to the environment."""
    started: list[subprocess.Popen[str]] = []
    prefix = tmp_path / 'install'
    for name, package in PACKAGES.items():
        script = prefix / 'lib' / package / name
        index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / package
        for path in (script, index):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(NODE)
        script.chmod(0o755)
    (prefix / 'share' / 'cls_learning').mkdir()
    (prefix / 'share' / 'cls_learning' / 'config').symlink_to(config_dir())

    def begin(file: str, *arguments: str, shell: dict[str, str] | None = None, **behaviour: str) -> Launched:
        for name, script in behaviour.items():
            (tmp_path / f'{name}.sh').write_text(script)
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment |= {'NODES': str(tmp_path), 'AMENT_PREFIX_PATH': f'{prefix}:{os.environ["AMENT_PREFIX_PATH"]}'}
        environment |= {'ROS_LOG_DIR': str(tmp_path / 'log'), 'PYTHONUNBUFFERED': '1', **(shell or {})}
        process = subprocess.Popen(
            [sys.executable, str(RUN), str(ROOT / 'launch' / f'{file}.launch.py'), *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return Launched(process, tmp_path)

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ('file', 'arguments', 'robot', 'config'),
    [
        ('sim', (), {'simulator'}, 'sim.param.yaml'),
        ('sim', ('record:=True',), {'simulator', 'recorder'}, 'sim.param.yaml'),
        ('sim', ('save_frames:=True',), {'simulator', 'frame_writer'}, 'sim.param.yaml'),
        ('sim', ('robot:=pan_tilt',), {'camera', 'servo_driver'}, 'pan_tilt.param.yaml'),
        ('robot', (), {'camera', 'servo_driver'}, 'pan_tilt.param.yaml'),
        ('robot', ('robot:=jetbot',), {'jetbot_driver'}, 'jetbot.param.yaml'),
        ('replay', ('session:=/s',), {'player'}, 'replay.param.yaml'),
        ('brain', (), set(), 'pan_tilt.param.yaml'),
    ],
)
def test_each_launch_file_starts_its_nodes_and_ends_them_in_order(
    launch: Callable[..., Launched], file: str, arguments: tuple[str, ...], robot: set[str], config: str
) -> None:
    launched = launch(file, *arguments)
    for name in robot | BRAIN:
        assert launched.parameters(name)[0] == [config]
    assert launched.end() == 0
    started = {
        line.split('start ')[1].split()[0] for line in launched.lines if 'start ' in line and '--ros-args' in line
    }
    assert started == robot | BRAIN


def test_arguments_reach_their_nodes_as_their_kind(launch: Callable[..., Launched]) -> None:
    launched = launch(
        'robot', 'model:=12', 'camera:=0', 'seed:=7', 'lock_step:=0', 'namespace:=left', 'log_level:=debug'
    )
    assert launched.parameters('camera')[1] == {'source': '0'}
    slow = launched.parameters('slow_learner')[1]
    assert (slow['model'], slow['seed']) == ('12', 7)
    (line,) = launched.wait('start slow_learner ')
    assert '__ns:=/left' in line
    assert '--log-level debug' in line
    assert launched.end() == 0


def test_no_node_is_niced_before_it_works(launch: Callable[..., Launched]) -> None:
    launched = launch('sim', slow_learner='echo "niceness $(nice)"')
    (line,) = launched.wait('niceness ')
    assert line.endswith(f'niceness {os.nice(0)}')
    assert launched.end() == 0


@pytest.mark.parametrize(
    ('argument', 'shell', 'scope', 'profile'),
    [
        ('network:=false', {}, 'LOCALHOST', 'fastdds.xml'),
        ('network:=False', {'ROS_DOMAIN_ID': '7'}, 'LOCALHOST', 'fastdds.xml'),
        ('network:=0', {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}, 'OFF', 'fastdds.xml'),
        ('network:=false', {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'}, 'LOCALHOST', 'mine.xml'),
        ('network:=true', {}, 'SUBNET', ''),
        ('network:=True', {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, 'SUBNET', ''),
        ('network:=1', {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT'}, 'SYSTEM_DEFAULT', ''),
        ('network:=true', {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'}, 'SUBNET', 'mine.xml'),
    ],
)
def test_nodes_join_the_graph_of_the_shell_and_the_exports_say_which(
    launch: Callable[..., Launched], argument: str, shell: dict[str, str], scope: str, profile: str
) -> None:
    launched = launch('sim', argument, shell=shell)
    launched.wait('start fast_learner ')
    variables = launched.variables('fast_learner')
    assert variables.get('ROS_DOMAIN_ID') == shell.get('ROS_DOMAIN_ID')
    assert variables['ROS_AUTOMATIC_DISCOVERY_RANGE'] == scope
    assert Path(variables['FASTRTPS_DEFAULT_PROFILES_FILE']).name == profile
    (line,) = launched.wait('to see this graph: export ')
    exported = dict(word.split('=') for word in line.split('export ')[1].split())
    assert exported == {'ROS_DOMAIN_ID': '0', **{name: value for name, value in variables.items() if value}}
    assert launched.end() == 0


@pytest.mark.parametrize('argument', ['network:=perhaps', 'use_respawn:=', 'lock_step:=2', 'seed:=x', 'robot:=rover'])
def test_a_wrong_argument_starts_nothing_and_is_named(launch: Callable[..., Launched], argument: str) -> None:
    launched = launch('sim', argument)
    assert launched.status() == 1
    (line,) = launched.wait('Caught exception in launch')
    assert argument.split(':=')[0] in line
    assert not [line for line in launched.lines if 'start ' in line and '--ros-args' in line]


@pytest.mark.parametrize('use_respawn', ['false', 'true'])
def test_a_node_that_ends_with_status_2_ends_the_graph(launch: Callable[..., Launched], use_respawn: str) -> None:
    launched = launch('sim', f'use_respawn:={use_respawn}', slow_learner='echo "error: no such model"; exit 2')
    assert launched.status() == 1
    (line,) = launched.wait('Caught exception in launch')
    assert 'slow_learner' in line
    assert len(launched.wait('error: no such model')) == 1
    assert len(launched.wait('start slow_learner ')) == 1


@pytest.mark.parametrize('status', [0, 1])
def test_without_respawn_the_others_go_on_when_a_node_ends(launch: Callable[..., Launched], status: int) -> None:
    flag = 'while [ ! -e "$NODES/gone" ]; do sleep 0.05; done; echo still here'
    launched = launch('sim', slow_learner=f'echo leaving; touch "$NODES/gone"; exit {status}', simulator=flag)
    launched.wait('still here')
    assert launched.end() == 0
    assert len(launched.wait('start slow_learner ')) == 1


@pytest.mark.timeout(120)
def test_with_respawn_a_crashed_node_comes_back_later_each_time_until_the_graph_ends(
    launch: Callable[..., Launched],
) -> None:
    launched = launch('sim', 'use_respawn:=True', encoder='exit 3')
    launched.wait('started again in 2 s')
    assert launched.wait('started again in 8 s')
    assert launched.status() == 1
    (line,) = launched.wait('Caught exception in launch')
    assert 'encoder crashed 5 times in a row, last with exit status 3' in line
    assert len(launched.wait('start encoder ')) == 5


def test_a_node_that_is_finished_is_not_started_again(launch: Callable[..., Launched]) -> None:
    flag = 'while [ ! -e "$NODES/gone" ]; do sleep 0.05; done; echo still here'
    launched = launch('sim', 'use_respawn:=true', encoder='touch "$NODES/gone"; exit 0', simulator=flag)
    launched.wait('still here')
    assert launched.end() == 0
    assert len(launched.wait('start encoder ')) == 1


def test_a_node_that_saves_for_longer_than_launch_waits_is_not_cut_off(launch: Callable[..., Launched]) -> None:
    # launch alone escalates to SIGTERM after 5 s.
    slow = """trap 'trap "echo cut off; exit 1" TERM; touch "$NODES/saving"; sleep 5.5; echo saved; exit 0' INT"""
    launched = launch('sim', slow_learner=f'{slow}; echo ready')
    launched.wait('ready')
    assert launched.end() == 0
    assert launched.wait('saved')
    assert not [line for line in launched.lines if 'cut off' in line]
