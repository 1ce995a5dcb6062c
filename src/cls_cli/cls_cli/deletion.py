"""Deletes folders of models and sessions: after a confirmation, and never partially."""

from collections.abc import Sequence
import os
from pathlib import Path
import shutil

import click

from cls_common.errors import UserError

from .terminal import is_interactive

# Folder beside the deleted ones; neither models nor sessions are looked for in it.
_TRASH = '.deleting'


def confirm(folders: Sequence[Path], kind: str, yes: bool) -> bool:
    """Returns whether folders may be deleted: asks at the terminal, unless `yes`.

    Raises:
        UserError: there is no terminal, or a folder is a link.
    """
    for folder in folders:
        if folder.is_symlink():
            raise UserError(f'{kind} {folder}', expected='a folder', found='a link', do='Remove the link by hand.')
    if yes:
        return True
    for folder in folders:
        print(folder)
    what = f'this {kind}' if len(folders) == 1 else f'these {len(folders)} {kind}s'
    if not is_interactive():
        raise UserError(f'delete {what}', expected='a confirmation', found='no terminal', do='Confirm it with --yes.')
    return click.confirm(f'Delete {what}?')


def delete(folders: Sequence[Path], kind: str, yes: bool) -> int:
    """Deletes folders after a confirmation, see `confirm` and `remove_folder`; returns the exit status."""
    if not confirm(folders, kind, yes):
        print('nothing was deleted')
        return 1
    for folder in folders:
        remove_folder(folder)
        print(f'deleted {folder}')
    return 0


def remove_folder(folder: Path) -> None:
    """Deletes a folder: renames it first, so that an interrupted deletion leaves no partial model or session.

    What an earlier, interrupted deletion left is removed too.

    Raises:
        UserError: the folder can not be renamed or removed.
    """
    trash = folder.parent / _TRASH
    try:
        trash.mkdir(exist_ok=True)
        folder.rename(trash / f'{folder.name}-{os.getpid()}')
        shutil.rmtree(trash)
    except OSError as error:
        raise UserError(f'delete {folder}', found=error.strerror or str(error)) from error


def users_of(folder: Path) -> list[int]:
    """Returns the processes, except this one, that have a file of a folder open; those of other users are unknown."""
    inside = f'{folder.resolve()}{os.sep}'
    found = []
    for process in Path('/proc').iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            files = [os.readlink(file) for file in (process / 'fd').iterdir()]
        except OSError:  # of another user, or just ended
            continue
        if any(file.startswith(inside) for file in files):
            found.append(int(process.name))
    return sorted(found)
