"""Disk, log folder, shared memory and downloaded weights."""

import fcntl
import os
from pathlib import Path
import shutil

from cls_common.runtime_folder import fallback_log_folder, provide_log_folder, ros_log_folder

from .findings import Finding, Severity

# A model of 10,000 transitions takes 0.1 GB; below 1 GB a save may fail soon.
_DISK_NEEDED_GB, _DISK_WANTED_GB = 1.0, 5.0
# Each of ten processes may map a segment of 16 MiB (config/fastdds.xml), and images need room.
_SHM_WANTED_MB = 256
_BACKBONES = ('resnet18', 'resnet34', 'resnet50', 'r3d_18')


def disk(path: Path = Path()) -> list[Finding]:
    """Free space where models are written."""
    free = shutil.disk_usage(path).free / 1e9
    if free >= _DISK_WANTED_GB:
        return [Finding('disk', Severity.OK, f'{free:.0f} GB free')]
    severity = Severity.NOTE if free >= _DISK_NEEDED_GB else Severity.WRONG
    return [Finding('disk', severity, f'{free:.1f} GB free', 'Free some, or put models elsewhere with --models-dir.')]


def log_folder() -> list[Finding]:
    """The log folder of ROS 2: its own, or the run folder if that can not be written."""
    provide_log_folder()
    folder = ros_log_folder()
    if folder != fallback_log_folder():
        return [Finding('ROS logs', Severity.OK, str(folder))]
    home = os.environ.get('HOME')
    found = f'HOME is {home}, which can not be written' if home else 'HOME is not set'
    return [
        Finding(
            'ROS logs', Severity.NOTE, f'{found}: they go to {folder}', 'Set HOME, or ROS_LOG_DIR to a folder of yours.'
        )
    ]


def shared_memory(path: Path = Path('/dev/shm')) -> list[Finding]:
    """Shared memory for images between processes, and leftovers of killed ROS processes."""
    if not path.is_dir():
        return [Finding('shared memory', Severity.NOTE, f'no {path}', 'Images go over loopback sockets instead.')]
    free = shutil.disk_usage(path).free / 1e6
    findings = [
        Finding('shared memory', Severity.OK, f'{free:.0f} MB free')
        if free >= _SHM_WANTED_MB
        else Finding('shared memory', Severity.NOTE, f'{free:.0f} MB free', 'In a container: --shm-size=1g.')
    ]
    if left := leftovers(path):
        megabytes = sum(file.stat().st_size for file in left) / 1e6
        text = f'{len(left)} segments of killed ROS processes, {megabytes:.0f} MB'
        findings.append(Finding('shared memory', Severity.NOTE, text, './cls exec fastdds shm clean'))
    return findings


def leftovers(path: Path) -> list[Path]:
    """Returns the Fast DDS segments in `path` whose process is gone: their lock file is not held."""
    found = []
    for lock in path.glob('fastrtps_*_el'):
        segment = lock.with_name(lock.name.removesuffix('_el'))
        try:
            with open(lock) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            continue
        if segment.is_file() and 'port' not in lock.name:
            found.append(segment)
    return found


def image_weights() -> list[Finding]:
    """Weights of pretrained encoders in torchvision's cache."""
    cache = os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache'))
    folder = Path(os.environ.get('TORCH_HOME', Path(cache, 'torch')), 'hub', 'checkpoints')
    have = [name for name in _BACKBONES if list(folder.glob(f'{name}-*.pth'))]
    if have:
        return [Finding('image weights', Severity.OK, f'{", ".join(have)} in {folder}')]
    do = 'Downloaded when such an encoder starts; without a network put them there. retina needs none.'
    return [Finding('image weights', Severity.NOTE, f'none in {folder}', do)]
