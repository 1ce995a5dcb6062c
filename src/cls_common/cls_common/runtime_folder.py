"""The user's folder for files that live as long as a run: status, locks, logs where ROS has no other place for them."""

import os
from pathlib import Path
import tempfile

from .errors import UserError


def runtime_folder() -> Path:
    """Returns the folder, made private to this user where it is missing.

    Raises:
        UserError: it belongs to another user.
    """
    runtime = os.environ.get('XDG_RUNTIME_DIR', '')
    if runtime and os.access(runtime, os.W_OK):
        folder = Path(runtime, 'cls')
    else:
        folder = Path(tempfile.gettempdir(), f'cls-{os.getuid()}')
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a folder that others may write to, the name could be theirs already.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError(
            f'run folder {folder}', expected='it to be yours', do='Set XDG_RUNTIME_DIR to a folder of yours.'
        )
    return folder


def ros_log_folder() -> Path | None:
    """Returns where ROS 2 keeps logs: ROS_LOG_DIR, else `log` in ROS_HOME, else in ~/.ros; None without HOME."""
    if folder := os.environ.get('ROS_LOG_DIR'):
        return Path(os.path.expanduser(folder))
    home = os.environ.get('ROS_HOME') or (os.environ.get('HOME', '') and '~/.ros')
    return Path(os.path.expanduser(home), 'log') if home else None


def fallback_log_folder() -> Path:
    """Where logs go when ROS 2's own choice can't be written."""
    return runtime_folder() / 'log'


def provide_log_folder() -> None:
    """Sets ROS_LOG_DIR where ROS 2 could not write its logs, for without them it does not start.

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
