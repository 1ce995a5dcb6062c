"""`sessions`: lists, examines, repairs, exports and deletes recorded sessions."""

import json
from pathlib import Path
from typing import Any

import click

from cls_common.errors import UserError

from .. import options
from ..deletion import delete, users_of
from ..invocation import as_called, examples
from .sessions_export import command as export_command

_ONE = './cls sessions {} sessions/sim/session_20250102_030405'


@click.group('sessions', epilog=examples('./cls sessions list', _ONE.format('info'), _ONE.format('delete')))
def command() -> None:
    """List, examine, repair, export or delete recorded sessions.

    SESSION is the folder of a session. The folder of a robot, or of all robots, stands for all sessions in it.
    """


@command.command('list', epilog=examples('./cls sessions list', './cls sessions list --sessions-dir /data --json'))
@options.sessions_dir
@options.as_json
def list_command(sessions_dir: Path, as_json: bool) -> int:
    """List the recorded sessions, also damaged ones."""
    from cls_recording.discovery import find_sessions
    from cls_recording.summary import summarize

    from .. import session_tables

    # A missing folder is no mistake: nothing was recorded yet.
    empty = not sessions_dir.exists() or (sessions_dir.is_dir() and not any(sessions_dir.iterdir()))
    summaries = [] if empty else [summarize(path) for path in find_sessions([sessions_dir])]
    if as_json:
        print(json.dumps([session_tables.plain(summary) for summary in summaries]))
    elif not summaries:
        print(f'No sessions in {sessions_dir}.')
    else:
        session_tables.show_list(summaries, sessions_dir)
    return 0


@command.command('info', epilog=examples(_ONE.format('info'), './cls sessions info sessions/sim --json'))
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@options.as_json
def info_command(sessions: tuple[Path, ...], as_json: bool) -> int:
    """Show what each SESSION holds and lacks.

    The quality says whether a model can learn from it. The exit status is 1 if a session cannot be read.
    """
    from cls_recording.quality.verdict import examine

    from .. import session_tables

    done, failed = _each(sessions, examine, session_tables.show_health if not as_json else None)
    if as_json:
        print(json.dumps([session_tables.plain(health) for health in done]))
    return failed


@command.command('repair', epilog=examples(_ONE.format('repair'), './cls sessions repair sessions/sim'))
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
def repair_command(sessions: tuple[Path, ...]) -> int:
    """Repair each SESSION whose recording was cut off.

    What was lost is shown. The original files are kept beside the repaired ones.
    """
    from cls_recording.repair import repair

    from .. import session_tables

    _, failed = _each(sessions, repair, session_tables.show_repair)
    return failed


command.add_command(export_command)


@command.command('delete', epilog=examples(_ONE.format('delete'), './cls sessions delete sessions/sim --yes'))
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@options.yes
def delete_command(sessions: tuple[Path, ...], yes: bool) -> int:
    """Delete each SESSION.

    A session that is recorded, replayed or read is refused, and then none is deleted.
    """
    from cls_recording.bag import is_being_recorded
    from cls_recording.discovery import find_sessions

    # A path without its last slash and dots: of `link/` the link is meant.
    folders = list(dict.fromkeys(path.parent.resolve() / path.name for path in map(_named, find_sessions(sessions))))
    for folder in folders:
        if is_being_recorded(folder):
            raise UserError(f'session {folder} is being recorded', do='Stop the recorder first.')
        if users := users_of(folder):
            numbers = ', '.join(map(str, users))
            raise UserError(f'session {folder} is in use', found=f'process {numbers}', do='End it first.')
    return delete(folders, 'session', yes)


def _named(path: Path) -> Path:
    return path if path.name not in ('', '..') else path.resolve()


def _each(paths: tuple[Path, ...], work: Any, show: Any) -> tuple[list[Any], int]:
    """Calls `work` for each session; a session that fails is reported in one line and the others continue."""
    from cls_recording.discovery import find_sessions

    found = [path for given in paths for path in ([given] if not given.is_dir() else find_sessions([given]))]
    if len(found) == 1:
        done = [work(found[0])]
        if show:
            show(done[0])
        return done, 0
    done, failed = [], 0
    for path in found:
        try:
            done.append(work(path))
            if show:
                show(done[-1])
        except UserError as error:
            failed = 1
            click.echo(as_called(f'error: {error}'), err=True)
    return done, failed
