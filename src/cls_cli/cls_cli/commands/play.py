"""`play`: recorded sessions in the place of a robot, from start to an orderly end."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions, REPLAY
from cls_common.errors import UserError

from .. import options, set_options
from ..running import Choices, run

_CHOICES = ('namespace', 'log_level', 'duration', 'startup_timeout', 'report', 'view')


@click.command('play')
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=click.Path(path_type=Path))
@click.option(
    '--rate', default=1.0, show_default=True, help='Times real time, 0.1 to 100; 0: as fast as it is learned.'
)
@click.option('--loop', is_flag=True, help='Begin anew at the end.')
@click.option('--paused', is_flag=True, help='Begin paused; player/set_paused goes on.')
@click.option('--filter-action', default='', metavar='KEY=VALUE', help='Only actions of this value, such as pan=5.')
@click.option('--model', default='default', show_default=True, help='Model folder, made where it is missing.')
@options.models_dir
@click.option('--encoder', default='', help='Eyes of a new model, by name.')
@click.option('--preset', default='', help='Settings of a new model: a name in config/presets/.')
@click.option('--seed', default=-1, type=click.IntRange(-1), help='Of a new model; implies one thread.')
@click.option('--record', is_flag=True, help='Record the replay as a session of its own.')
@click.option('--sessions-dir', default='sessions', show_default=True, type=click.Path(path_type=Path))
@click.option('--params-file', default='', type=click.Path(), help='Parameter file that wins over ours.')
@set_options.option
@options.accept_robot
@options.namespace
@click.option('--log-level', default='', type=click.Choice(['', 'debug', 'info', 'warn', 'error']), metavar='LEVEL')
@click.option('--duration', default=0.0, type=click.FloatRange(0.0), help='End this many seconds after ready.')
@click.option('--startup-timeout', default=180.0, show_default=True, type=click.FloatRange(1.0), help='Seconds.')
@click.option('--report', type=click.Path(path_type=Path), help='Write a JSON report at the end.')
@click.option('--view/--no-view', default=None, help='Live view and keys; default: on a terminal.')
def command(sessions: tuple[Path, ...], models_dir: Path, sessions_dir: Path, params_file: str, **chosen: Any) -> int:
    """Replay sessions, or all of a folder, to the learners of a brain; save the model at the end."""
    _check(sessions, chosen['filter_action'], chosen['rate'])
    choices = Choices(**{name: chosen.pop(name) for name in _CHOICES})
    # Nodes need not share our working directory.
    chosen |= {
        'session': ','.join(str(path.absolute()) for path in sessions), 'models_dir': str(models_dir.absolute()),
        'sessions_dir': str(sessions_dir.absolute()),
        'params_file': str(Path(params_file).absolute()) if params_file else '',
    }  # fmt: skip
    return run(GraphOptions(robot=REPLAY, **chosen), choices)


def _check(sessions: tuple[Path, ...], filter_action: str, rate: float) -> None:
    """Says what is wrong before anything is started."""
    for path in sessions:
        if ',' in str(path.absolute()):
            raise UserError(f'session {path}', expected='a path without a comma')
    from cls_recording.filters import ActionFilter
    from cls_recording.playback.settings import check_rate
    from cls_recording.playback.sources import open_sources

    check_rate(rate)
    wanted = ActionFilter.parse(filter_action) if filter_action else None
    for source in open_sources(sessions):
        if wanted is not None:
            wanted.check(source.robot)
