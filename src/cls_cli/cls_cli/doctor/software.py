"""Interpreter, ROS and libraries."""

from importlib.metadata import PackageNotFoundError, version
import importlib.util
import os
from pathlib import Path
import shutil
import sys

from .findings import Finding, Severity

_SETUP = 'Delete .venv/.complete and run any ./cls command: it sets everything up again.'
_ROS_PACKAGES = ('rclpy', 'sensor_msgs', 'std_srvs', 'diagnostic_msgs', 'rosgraph_msgs')
_WORKSPACE = (
    'cls_interfaces',
    'cls_common',
    'cls_perception',
    'cls_learning',
    'cls_servo_driver',
    'cls_jetbot_driver',
    'cls_sim',
)
_LIBRARIES = ('numpy', 'gymnasium', 'pyserial', 'safetensors', 'rich')


def interpreter() -> list[Finding]:
    """Python 3.11 or 3.12, for which ROS 2 Jazzy exists."""
    found = '.'.join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return [Finding('Python', Severity.OK, found)]
    return [Finding('Python', Severity.WRONG, found, 'Set CLS_PYTHON to a Python 3.11 or 3.12.')]


def ros() -> list[Finding]:
    """ROS 2 Jazzy, the workspace, the DDS profile and the discovery range."""
    distribution = os.environ.get('ROS_DISTRO', '')
    findings = []
    if distribution not in ('', 'jazzy'):
        findings.append(
            Finding('ROS', Severity.WRONG, f'{distribution} is sourced', 'Open a shell without it, or source Jazzy.')
        )
    absent = [name for name in _ROS_PACKAGES if importlib.util.find_spec(name) is None]
    source = 'an installed Jazzy' if distribution else 'wheels'
    findings.append(
        Finding('ROS 2 Jazzy', Severity.WRONG, f'missing: {", ".join(absent)}', _SETUP)
        if absent
        else Finding('ROS 2 Jazzy', Severity.OK, f'from {source}')
    )
    absent = [name for name in _WORKSPACE if importlib.util.find_spec(name) is None]
    findings.append(
        Finding(
            'workspace', Severity.WRONG, f'not built: {", ".join(absent)}', 'Delete build/.ready and run ./cls again.'
        )
        if absent
        else Finding('workspace', Severity.OK, 'built')
    )
    return [*findings, _profile(), _parent_death()]


def _profile() -> Finding:
    path = os.environ.get('FASTRTPS_DEFAULT_PROFILES_FILE', '')
    scope = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    if path and not Path(path).is_file():
        return Finding('DDS profile', Severity.WRONG, f'{path} is missing', 'Unset FASTRTPS_DEFAULT_PROFILES_FILE.')
    if not path:
        return Finding(
            'DDS profile',
            Severity.NOTE,
            'none: large images get lost, sockets listen on all addresses',
            'Start by ./cls.',
        )
    return Finding('DDS profile', Severity.OK, f'{path}, discovery {scope}')


def _parent_death() -> Finding:
    if shutil.which('setpriv'):
        return Finding('setpriv', Severity.OK, 'nodes end with the process that started them')
    return Finding(
        'setpriv', Severity.NOTE, 'missing: nodes outlive a killed `./cls up`', 'sudo apt-get install util-linux'
    )


def packages() -> list[Finding]:
    """PyTorch with the torchvision of the same release, and the rest."""
    return [_torch(), _opencv(), *(_library(name) for name in _LIBRARIES)]


def _opencv() -> Finding:
    # Asked by import: its distribution has another name from apt than from PyPI.
    try:
        import cv2
    except ImportError as error:
        return Finding('OpenCV', Severity.WRONG, f'cannot be imported: {error}', _SETUP)
    if importlib.util.find_spec('cv_bridge') and int(_version('numpy').partition('.')[0] or 0) >= 2:
        found = f"numpy {_version('numpy')}, with which apt's cv_bridge fails; images are converted without it"
        return Finding('OpenCV', Severity.NOTE, found, 'Remove the numpy that pip installed.')
    return Finding('OpenCV', Severity.OK, cv2.__version__)


def _library(name: str) -> Finding:
    found = _version(name)
    return Finding(name, Severity.OK, found) if found else Finding(name, Severity.WRONG, 'missing', _SETUP)


def _torch() -> Finding:
    torch, vision = _version('torch'), _version('torchvision')
    if not torch or not vision:
        return Finding(
            'PyTorch', Severity.WRONG, f'torch {torch or "missing"}, torchvision {vision or "missing"}', _SETUP
        )
    return Finding('PyTorch', Severity.OK, f'torch {torch}, torchvision {vision}')


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ''
