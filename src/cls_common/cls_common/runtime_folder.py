"""The user's folder for files of a run: status, locks, and logs where ROS cannot write its own folder."""

import os
from pathlib import Path
import tempfile

from .errors import UserError


def runtime_folder() -> Path:
    """Returns the folder, created private to this user if missing.

    Raises:
        UserError: it belongs to another user.
    """
    runtime = os.environ.get('XDG_RUNTIME_DIR', '')
    if runtime and os.access(runtime, os.W_OK):
        folder = Path(runtime, 'cls')
    else:
        folder = Path(tempfile.gettempdir(), f'cls-{os.getuid()}')
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a folder that others may write to, another user could have created it.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError(
            f'run folder {folder}', expected='it to be yours', do='Set XDG_RUNTIME_DIR to a folder of yours.'
        )
    return folder


def ros_log_folder() -> Path | None:
    """Returns the log folder of ROS 2: ROS_LOG_DIR, else `log` in ROS_HOME, else in ~/.ros; None without HOME."""
    if folder := os.environ.get('ROS_LOG_DIR'):
        return Path(os.path.expanduser(folder))
    home = os.environ.get('ROS_HOME') or (os.environ.get('HOME', '') and '~/.ros')
    return Path(os.path.expanduser(home), 'log') if home else None


def fallback_log_folder() -> Path:
    """Returns the log folder used where ROS 2's own cannot be written."""
    return runtime_folder() / 'log'


def provide_log_folder() -> None:
    """Sets ROS_LOG_DIR where ROS 2 could not write its logs, since it does not start without them.

    Raises:
        UserError: see `runtime_folder`.
    """
    if not _is_writable(ros_log_folder()):
        folder = fallback_log_folder()
        folder.mkdir(exist_ok=True)
        os.environ['ROS_LOG_DIR'] = str(folder)


def _is_writable(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
