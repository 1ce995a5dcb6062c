"""`sessions`: what was recorded, how good it is, and what can be done with it."""

import importlib
import json
from pathlib import Path
from typing import Any

import click

# Name -> (module in commands/, attribute, what it does). The texts stand here so that `--help` imports nothing more.
_COMMANDS = {
    'list': ('sessions', 'list_command', 'List the recorded sessions.'),
    'info': ('sessions', 'info_command', 'What sessions hold, what they lack, and whether they are fit to learn from.'),
    'repair': ('sessions', 'repair_command', 'Make sessions whole again whose recording was cut off.'),
    'export': ('sessions_export', 'command', 'Write sessions as a LeRobot dataset or a video.'),
}
_PATHS = click.Path(path_type=Path)


class _Sessions(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f'cls_cli.commands.{module}'), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section('Commands'):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group('sessions', cls=_Sessions)
def command() -> None:
    """What was recorded, how good it is, and what can be done with it.

    SESSION is a session's folder; a robot's folder, or the folder of all robots, stands for all sessions in it.
    """


@click.command('list')
@click.option('--sessions-dir', default='sessions', show_default=True, type=_PATHS, help='Folder of the sessions.')
@click.option('--json', 'as_json', is_flag=True, help='One JSON array.')
def list_command(sessions_dir: Path, as_json: bool) -> int:
    """List the recorded sessions, damaged ones too."""
    from cls_recording.discovery import find_sessions
    from cls_recording.summary import summarize

    from .. import session_tables

    # A folder that does not exist yet is no mistake: nothing was recorded.
    empty = not sessions_dir.exists() or (sessions_dir.is_dir() and not any(sessions_dir.iterdir()))
    summaries = [] if empty else [summarize(path) for path in find_sessions([sessions_dir])]
    if as_json:
        print(json.dumps([session_tables.plain(summary) for summary in summaries]))
    elif not summaries:
        print(f'No sessions in {sessions_dir}.')
    else:
        session_tables.show_list(summaries, sessions_dir)
    return 0


@click.command('info')
@click.argument('sessions', nargs=-1, required=True, type=_PATHS)
@click.option('--json', 'as_json', is_flag=True, help='One JSON array.')
def info_command(sessions: tuple[Path, ...], as_json: bool) -> int:
    """What SESSIONS hold and lack, and whether they are fit to learn from. Exit status 1 where one can't be read."""
    from cls_recording.quality.verdict import examine

    from .. import session_tables

    done, failed = _each(sessions, examine, session_tables.show_health if not as_json else None)
    if as_json:
        print(json.dumps([session_tables.plain(health) for health in done]))
    return failed


@click.command('repair')
@click.argument('sessions', nargs=-1, required=True, type=_PATHS)
def repair_command(sessions: tuple[Path, ...]) -> int:
    """Make SESSIONS whole again whose recording was cut off, and say what was lost."""
    from cls_recording.repair import repair

    from .. import session_tables

    _, failed = _each(sessions, repair, session_tables.show_repair)
    return failed


def _each(paths: tuple[Path, ...], work: Any, show: Any) -> tuple[list[Any], int]:
    """Does `work` with each session; one that fails says so in a line and harms no other."""
    from cls_common.errors import UserError
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
            click.echo(f'error: {error}', err=True)
    return done, failed
