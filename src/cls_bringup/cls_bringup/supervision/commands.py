"""Command lines of the processes of the graph."""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import shutil
import sys
from typing import Any

from cls_common import node_process
from cls_common.errors import UserError

from ..graph import Process


def find_config(name: str) -> Path:
    """Returns the absolute path of a parameter file: a path, or a name in the workspace's or installed `config/`."""
    folders = [Path(os.environ['CLS_ROOT'], 'config')] if 'CLS_ROOT' in os.environ else []
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    folders += [Path(prefix, 'share', 'cls_learning', 'config') for prefix in prefixes if prefix]
    for candidate in (Path(name), *(folder / name for folder in folders)):
        if candidate.is_file():
            return candidate.resolve()
    raise UserError(f'parameter file {name!r} is missing', expected='a path, or a name in ' + _join(folders))


def _join(folders: Sequence[Path]) -> str:
    return ' or '.join(map(str, folders[:2])) or 'config/'


def node_command(process: Process, namespace: str = '', log_level: str = '') -> list[str]:
    """Returns the command line of one node.

    The node gets SIGINT when its parent ends for any reason: a node that is killed would leave the torque on.
    """
    command = [*dies_with_parent('INT')]
    command += [sys.executable, '-m', node_process.__name__, process.module]
    command += ['--ros-args', '-r', f'__node:={process.name}']
    if namespace:
        command += ['-r', f'__ns:=/{namespace.strip("/")}']
    for name in process.parameter_files:
        command += ['--params-file', str(find_config(name))]
    for name, value in process.parameters.items():
        command += ['-p', f'{name}:={parameter_text(value)}']
    if log_level:
        command += ['--log-level', log_level]
    return command


def parameter_text(value: Any) -> str:
    """Returns a value as YAML for ROS parameters; text is quoted, so that '123' stays text."""
    text = json.dumps(value, ensure_ascii=False)
    # YAML takes 5e-324 for text: a float needs its dot.
    return text.replace('e', '.0e', 1) if isinstance(value, float) and '.' not in text else text


def dies_with_parent(signal_name: str) -> list[str]:
    """Returns a command prefix that sends a signal when the parent ends; empty without `setpriv`."""
    setpriv = shutil.which('setpriv')
    return [setpriv, '--pdeathsig', signal_name, '--'] if setpriv else []
