"""Kernel locks on files, which end with the process that holds them."""

import errno
import fcntl
from pathlib import Path
from typing import IO

from .errors import UserError

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def try_lock(file: IO[bytes] | IO[str] | int, path: Path) -> bool:
    """Takes the exclusive lock of an open file without waiting; returns False where another process holds it.

    Args:
        path: of the file, for errors.

    Raises:
        UserError: its file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise lock_error(path, error) from error
    return True


def lock_error(path: Path, error: OSError) -> UserError:
    """Returns the error of a lock file that could not be created or locked."""
    do = 'Network file systems often have none: choose a folder on a disk of this machine.'
    return UserError(
        f'{path} can not be locked', found=error.strerror or str(error), do=do if error.errno in _NO_LOCKS else ''
    )
