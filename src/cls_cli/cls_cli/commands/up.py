"""`up`: a robot and its brain, from start to an orderly end."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions
from cls_common.comms import MODES

from .. import options, set_options
from ..running import Choices, run

_CHOICES = ('namespace', 'log_level', 'duration', 'startup_timeout', 'report', 'view')


@click.command('up')
@click.option('--robot', default='sim', show_default=True, metavar='ROBOT', help='sim, square, pan_tilt or gym:ID.')
@click.option('--brain', default='', help='Brain of a new model, by name; default: cls.')
@click.option('--model', default='default', show_default=True, help='Model folder, made where it is missing.')
@options.models_dir
@click.option('--mode', default='', type=click.Choice(['', *MODES]), metavar='MODE', help=' | '.join(MODES))
@click.option('--encoder', default='', help='Eyes of a new model, by name.')
@click.option('--preset', default='', help='Settings of a new model: a name in config/presets/.')
@click.option('--port', default='', help='Serial port of the servo board.')
@click.option('--camera', default='', help='Index, path, video file or folder of images.')
@click.option('--scene', default=-1, type=click.IntRange(-1), help='Which simulated scene.')
@click.option('--lock-step', is_flag=True, help='The simulator waits for each action.')
@click.option('--seed', default=-1, type=click.IntRange(-1), help='Of everything random; implies one thread.')
@click.option('--steps', default=0, type=click.IntRange(0), help='End after this many wake steps.')
@click.option('--save-frames', is_flag=True, help='Keep a JPEG before and after each action.')
@click.option('--record', is_flag=True, help='Record the run as a session.')
@click.option('--sessions-dir', default='sessions', show_default=True, type=click.Path(), help='Where sessions lie.')
@click.option('--params-file', default='', type=click.Path(), help='Parameter file that wins over ours.')
@set_options.option
@options.accept_robot
@options.namespace
@click.option('--log-level', default='', type=click.Choice(['', 'debug', 'info', 'warn', 'error']), metavar='LEVEL')
@click.option('--duration', default=0.0, type=click.FloatRange(0.0), help='End this many seconds after ready.')
@click.option('--startup-timeout', default=180.0, show_default=True, type=click.FloatRange(1.0), help='Seconds.')
@click.option('--report', type=click.Path(path_type=Path), help='Write a JSON report at the end.')
@click.option('--view/--no-view', default=None, help='Live view and keys; default: on a terminal, without an end.')
def command(models_dir: Path, sessions_dir: str, params_file: str, **chosen: Any) -> int:
    """Start a robot and its brain, and watch them. Ctrl-C or q saves the model and ends everything."""
    choices = Choices(**{name: chosen.pop(name) for name in _CHOICES})
    # Nodes need not share our working directory.
    chosen |= {'models_dir': str(models_dir.absolute()), 'params_file': _absolute(params_file)}
    chosen['sessions_dir'] = _absolute(sessions_dir)
    return run(GraphOptions(**chosen), choices)


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ''
