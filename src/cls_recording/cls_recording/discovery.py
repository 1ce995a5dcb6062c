"""Finds the sessions in given folders. No ROS here."""

from collections.abc import Sequence
from pathlib import Path

from cls_common.errors import UserError

from .bag import is_session


def find_sessions(paths: Sequence[Path]) -> list[Path]:
    """Returns sessions: a path is a session, a robot's folder, or a folder of these; those in a folder by name.

    Damaged sessions are included, their error is raised when they are opened; other folders are left out.

    Raises:
        UserError: a path that does not exist, or holds no session.
    """
    found: list[Path] = []
    for path in paths:
        sessions = [path] if path.is_dir() and is_session(path) else _below(path)
        if not sessions:
            what = 'nothing there' if not path.exists() else 'none' if path.is_dir() else 'a file'
            raise UserError(f'sessions in {path}', expected='a session, or a folder of sessions', found=what)
        found += sessions
    return found


def _below(path: Path) -> list[Path]:
    sessions: list[Path] = []
    for folder in _folders(path):
        sessions += [folder] if is_session(folder) else [inner for inner in _folders(folder) if is_session(inner)]
    return sessions


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith('.'))
