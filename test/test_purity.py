"""Only folders named nodes/ import ROS: all other modules import in a process where ROS is blocked."""

import ast
import json
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob('src/*/setup.py'))
# These run on a robot that carries no PyTorch.
WITHOUT_TORCH = {'cls_common', 'cls_servo_driver', 'cls_jetbot_driver', 'cls_sim', 'cls_recording'} & set(PACKAGES)

# Everything that comes with ROS, by top-level name.
ROS_NAMES = (
    'ament_index_python',
    'builtin_interfaces',
    'cls_interfaces',
    'cv_bridge',
    'launch',
    'launch_pytest',
    'launch_ros',
    'launch_testing',
    'message_filters',
    'osrf_pycommon',
    'rcl_interfaces',
    'rclpy',
    'ros2cli',
    'rosbag2_py',
    'rosidl_runtime_py',
    'rpyutils',
    'std_srvs',
    'tf2_ros',
    'unique_identifier_msgs',
)
ROS_ENDINGS = ('_msgs', '_interfaces', '_srvs')
TORCH_NAMES = ('torch', 'torchvision')

# Runs in the other process: blocks names, imports every module, prints failures.
PROBE = """
import importlib, json, sys, traceback

names, endings, modules = json.loads(sys.stdin.read())

class Poison:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top in names or top.endswith(tuple(endings)):
            raise ModuleNotFoundError(f'poisoned for this test: {name}')

sys.meta_path.insert(0, Poison())
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except BaseException:
        failed[module] = traceback.format_exc(limit=-3)
print(json.dumps(failed))
"""


def pure_files(package: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / 'src' / package / package).rglob('*.py'))
        if 'nodes' not in path.relative_to(ROOT).parts
    ]


def module_name(path: Path, package: str) -> str:
    parts = path.relative_to(ROOT / 'src' / package).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def failures(modules: list[str], names: tuple[str, ...], endings: tuple[str, ...] = ()) -> dict[str, str]:
    """Imports modules in a process where some names are poisoned; returns what failed, with tracebacks."""
    result = subprocess.run(
        [sys.executable, '-c', PROBE],
        input=json.dumps([names, endings, modules]),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    failed: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return failed


def report(failed: dict[str, str]) -> str:
    return '\n'.join(f'{module}:\n{text}' for module, text in failed.items())


def test_every_pure_module_imports_without_ros() -> None:
    # One process for all: PyTorch takes seconds to import.
    modules = [module_name(path, package) for package in PACKAGES for path in pure_files(package)]
    assert set(PACKAGES) <= set(modules)
    failed = failures(modules, ROS_NAMES, ROS_ENDINGS)
    assert not failed, report(failed)


@pytest.mark.parametrize('package', sorted(WITHOUT_TORCH))
def test_packages_of_a_small_robot_import_without_torch(package: str) -> None:
    files = sorted((ROOT / 'src' / package / package).rglob('*.py'))
    failed = failures([module_name(path, package) for path in files], TORCH_NAMES)
    # Without `launch`, which the ROS wheels lack, a failed import is not caused by torch.
    guilty = {module: text for module, text in failed.items() if 'poisoned for this test' in text}
    assert not guilty, report(guilty)


def test_the_command_line_starts_without_torch_or_ros() -> None:
    modules = ['cls_cli.__main__', 'cls_cli.entry']
    failed = failures(modules, (*TORCH_NAMES, *ROS_NAMES), ROS_ENDINGS)
    assert not failed, report(failed)


def test_blocked_names_cannot_be_imported() -> None:
    # Otherwise everything above would pass on a machine where it tests nothing.
    failed = failures(['rclpy', 'sensor_msgs.msg', 'cls_common.nodes.runner', 'json'], ROS_NAMES, ROS_ENDINGS)
    assert set(failed) == {'rclpy', 'sensor_msgs.msg', 'cls_common.nodes.runner'}
    assert set(failures(['torch', 'numpy'], TORCH_NAMES)) == {'torch'}


@pytest.mark.parametrize('package', PACKAGES)
def test_no_pure_file_mentions_ros_in_any_import(package: str) -> None:
    # An import inside a function is not met by importing the module.
    guilty = [
        f'{path.relative_to(ROOT)}:{line}: {name}'
        for path in pure_files(package)
        for line, name in imports(path)
        if name.partition('.')[0] in ROS_NAMES or name.partition('.')[0].endswith(ROS_ENDINGS)
    ]
    assert not guilty, '\n'.join(guilty)


def imports(path: Path) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append((node.lineno, node.module or ''))
    return found
