"""Lock of a model folder for one process; a kernel lock, which ends with the process. No PyTorch here."""

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from cls_common.errors import UserError
from cls_common.file_lock import lock_error

from .files import write_whole


def take(folder: Path) -> FileLock:
    """Locks an existing model folder and writes its owner to owner.json; release the lock to end it.

    Raises:
        UserError: another process has the lock, or this file system or user can't lock.
    """
    lock = FileLock(folder / 'lock')
    try:
        lock.acquire(timeout=0)
        owner = {'pid': os.getpid(), 'host': os.uname().nodename}
        write_whole(folder / 'owner.json', json.dumps(owner).encode())
    except Timeout as error:
        raise UserError(
            f'model {folder.name!r}',
            expected='no other user of it',
            found=f'it is in use by {_owner(folder)}',
            do='Stop that process or choose another model name.',
        ) from error
    except OSError as error:
        lock.release()
        raise lock_error(folder / 'lock', error) from error
    return lock


def check_free(folder: Path) -> None:
    """Raises the UserError of `take` or `check_access`; a missing folder is free."""
    check_access(folder)
    if os.path.exists(folder / 'lock'):
        take(folder).release()


def check_access(folder: Path) -> None:
    """Raises UserError where this user may not read and write every file of a model, before a save fails."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != 'frames']
        for path in (place, *(os.path.join(place, name) for name in (*folders, *files))):
            needed = os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)
            if os.path.exists(path) and not os.access(path, needed, effective_ids=True):
                raise UserError(
                    f'model {folder.name!r}',
                    expected='files that this user may read and write',
                    found=path,
                    do='Change their owner, or choose another model name.',
                )


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / 'owner.json').read_text(encoding='utf-8'))
        return f'process {owner["pid"]} on {owner["host"]}'
    except (OSError, ValueError, KeyError):
        return 'another process'
