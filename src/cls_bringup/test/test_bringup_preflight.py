"""What is wrong with a graph is found before any process is started, and leaves nothing behind."""

import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from cls_bringup import preflight
from cls_bringup.graph import describe, GraphOptions
from cls_common.errors import UserError
from cls_learning.model_store.ownership import take

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _from_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CLS_ROOT', str(ROOT))


def check(**options: Any) -> None:
    preflight.check(describe(GraphOptions(**options)))


@pytest.mark.parametrize('robot', ['sim', 'square', 'gym:CartPole-v1'])
def test_a_graph_that_can_start_passes(robot: str, tmp_path: Path) -> None:
    encoder = 'early_resnet18' if robot == 'sim' else ''
    check(robot=robot, models_dir=str(tmp_path), encoder=encoder, record=True, lock_step=True, seed=1, save_frames=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'robot': 'gym:Nope-v0'}, "unknown robot 'gym:Nope-v0'"),
        ({'robot': 'gym:no_such_module:Plain-v0'}, "a Python module 'no_such_module'"),
        ({'encoder': 'nope'}, "unknown encoder 'nope'; expected one of .*early_resnet18"),
        ({'preset': 'nope'}, "unknown preset 'nope'; expected one of default, reference"),
        ({'robot': 'pan_tilt', 'camera': '63'}, 'an existing /dev/video63'),
        ({'robot': 'pan_tilt', 'camera': '/no/such/film.mp4'}, 'film.mp4'),
        ({'robot': 'pan_tilt', 'camera': str(ROOT / 'docs'), 'port': '/dev/no_such_port'}, "'/dev/no_such_port'"),
        ({'robot': 'jetbot', 'settings': ('jetbot.host="192.0.2.1"',)}, 'a host of allowed_hosts: 127.0.0.1'),
        ({'robot': 'jetbot', 'settings': ('jetbot.port=1',)}, '127.0.0.1:1 can not be reached'),
        ({'params_file': '/no/such/file.yaml'}, 'is missing'),
    ],
)
def test_a_mistake_is_named_before_anything_starts(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=expected):
        check(models_dir=str(tmp_path / 'models'), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('/**/slow_learner: {ros__parameters: {slepe: 1}}', "unknown parameter 'slepe'"),
        ('/**/fast_learner: {ros__parameters: {max_behind: -3}}', "'max_behind'; expected 0 to 1000 steps; found -3"),
        ('/**/simulator: {ros__parameters: {panorama: /no/such.png}}', "'panorama'; expected a file"),
    ],
)
def test_a_parameter_file_is_read_as_the_nodes_read_it(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    with pytest.raises(UserError, match=expected):
        check(params_file=str(path), models_dir=str(tmp_path))


def test_a_model_in_use_is_refused_with_its_owner(tmp_path: Path) -> None:
    (tmp_path / 'm').mkdir()
    lock = take(tmp_path / 'm')
    try:
        with pytest.raises(UserError, match=f'in use by process {os.getpid()}'):
            check(model='m', models_dir=str(tmp_path))
    finally:
        lock.release()
    check(model='m', models_dir=str(tmp_path))


def test_up_ends_with_one_line_and_imports_neither_ros_nor_torch_for_it(tmp_path: Path) -> None:
    code = (
        'import sys\nfrom cls_cli.entry import main\n'
        "status = main(['up', '--encoder', 'nope', '--models-dir', sys.argv[1]])\n"
        "print(status, sorted({'rclpy', 'torch'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path / 'm')], capture_output=True, text=True, timeout=90
    )
    assert ended.stdout == '2 []\n'
    assert ended.stderr.count('\n') == 1 and ended.stderr.startswith("error: unknown encoder 'nope'")
    assert list(tmp_path.iterdir()) == []
