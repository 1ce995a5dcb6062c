"""Atomic and durable writing of files and folders. No ROS here.

A temporary name in the same folder, fsync, rename, fsync of the folder: a process that is killed at any moment leaves
the old content or the new one, and at most a hidden `.NAME.new`, which the next write replaces.
"""

import json
import os
from pathlib import Path
from typing import Any


def temporary_of(path: Path) -> Path:
    """Returns the hidden name beside `path` at which it is written first."""
    return path.with_name(f'.{path.name}.new')


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replaces a file in one step.

    Args:
        durable: False: a loss of power may cost it, as for files that live no longer than their process. No fsync.

    Raises:
        OSError: it could not be written; the old file, if any, is as it was.
    """
    temporary = temporary_of(path)
    try:
        temporary.write_bytes(data)
        publish(temporary, path, durable=durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replaces a text file in one step, as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode(), durable=durable)


def write_json(path: Path, content: Any, *, allow_nan: bool = False) -> None:
    """Replaces a JSON file in one step; see `write_bytes`.

    Args:
        allow_nan: also NaN and infinity, which Python reads back and other readers of JSON refuse.

    Raises:
        ValueError: there is one, and it is not allowed; nothing was written.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=allow_nan) + '\n')


def publish(temporary: Path, path: Path, *, durable: bool = True) -> None:
    """Renames a finished file or folder to `path` in the same folder, a file that is there is replaced.

    Args:
        durable: see `write_bytes`.
    """
    if durable:
        sync_tree(temporary)
    os.replace(temporary, path)
    if durable:
        sync(path.parent)


def sync_tree(path: Path) -> None:
    """Makes a file, or a folder and everything in it, survive a loss of power."""
    for each in (path, *path.rglob('*')):
        if each.is_file() or each.is_dir():
            sync(each)


def sync(path: Path) -> None:
    """Makes a file's content, or the names in a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
