"""Options that several commands share: each has one name, one meaning and one text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cls_common.errors import UserError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
SESSIONS = click.Path(path_type=Path)


def optional_choice(*names: str, choices: tuple[str, ...], help: str, show_default: str) -> Callable[..., Any]:
    """Declares an option with fixed choices; its value is empty if it is not given."""
    return click.option(
        *names,
        type=click.Choice(choices),
        help=help,
        show_default=show_default,
        callback=lambda _context, _option, value: value or '',
    )


def steps(default: int = 0) -> Callable[..., Any]:
    """Declares `--steps`; 0: no limit."""
    return click.option(
        '--steps',
        default=default,
        type=click.IntRange(1 if default else 0),
        metavar='N',
        show_default=True if default else 'no limit',
        help='End after this many steps of the robot.',
    )


def startup_timeout(default: float) -> Callable[..., Any]:
    """Declares `--startup-timeout`."""
    return click.option(
        '--startup-timeout',
        default=default,
        show_default=True,
        type=click.FloatRange(1.0),
        metavar='SECONDS',
        help='Give up if the robot is not ready after this many seconds.',
    )


def complete_model(context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    folder = Path(context.params.get('models_dir') or 'models')
    names = sorted(path.parent.name for path in folder.glob('*/config.json'))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_robot(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in ('sim', 'square', 'pan_tilt', 'gym:') if name.startswith(incomplete)]


def _check_report(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise UserError(f'report {path}', expected='an existing folder', do=f'mkdir -p {path.parent}')
    return path


namespace = click.option(
    '--namespace', default='', metavar='NAME', show_default='none', help='ROS namespace of the graph.'
)
robot = click.option(
    '--robot',
    default='sim',
    show_default=True,
    metavar='ROBOT',
    shell_complete=_complete_robot,
    help='Robot: sim, square, pan_tilt, gym:ID, or gym:MODULE:ID of your own module.',
)
# Eager: these choose the settings that --set may name.
brain = click.option(
    '--brain',
    is_eager=True,
    default='',
    metavar='NAME',
    help='Brain of a new model. An existing model has its own.',
    show_default='cls',
)
model = click.option(
    '--model',
    is_eager=True,
    default='default',
    show_default=True,
    metavar='NAME',
    shell_complete=complete_model,
    help='Name of the model, which is created if it does not exist.',
)
model_argument = click.argument('model', shell_complete=complete_model)
models_dir = click.option(
    '--models-dir',
    is_eager=True,
    default='models',
    show_default=True,
    metavar='FOLDER',
    type=FOLDER,
    help='Folder that holds the models.',
)
sessions_dir = click.option(
    '--sessions-dir',
    default='sessions',
    show_default=True,
    metavar='FOLDER',
    type=FOLDER,
    help='Folder that holds the sessions.',
)
accept_robot = click.option(
    '--accept-robot', is_flag=True, help='Continue a model that was made with a robot of another name.'
)
encoder = click.option(
    '--encoder',
    default='',
    metavar='NAME',
    help='Encoder of a new model.',
    show_default='that of the robot, or of the sessions',
)
preset = click.option(
    '--preset',
    default='',
    metavar='NAME',
    show_default='none',
    help='Preset of a new model, the name of a file in config/presets.',
)
seed = click.option(
    '--seed',
    default=-1,
    type=click.IntRange(-1),
    metavar='N',
    show_default='drawn',
    help='Seed of everything random. With a seed only one thread computes, so that the result is exact.',
)
scene = click.option(
    '--scene',
    default=-1,
    type=click.IntRange(-1),
    metavar='N',
    show_default='as in the parameter file',
    help='Number of the simulated scene.',
)
port = click.option(
    '--port', default='', metavar='PATH', show_default='the only one', help='Serial port of the servo board.'
)
camera = click.option(
    '--camera',
    default='',
    metavar='SOURCE',
    show_default='as in the parameter file',
    help='Camera: an index, a device path, a video file or a folder of images.',
)
lock_step = click.option('--lock-step', is_flag=True, help='Let the simulator wait for each action.')
record = click.option('--record', is_flag=True, help='Record the run as a session.')
filter_action = click.option(
    '--filter-action',
    default='',
    metavar='KEY=VALUE',
    show_default='all actions',
    help='Use only recorded actions of this value, such as pan=5.',
)
params_file = click.option(
    '--params-file',
    default='',
    metavar='FILE',
    type=click.Path(),
    show_default='none',
    help='Parameter file that overrides the built-in ones.',
)
log_level = optional_choice(
    '--log-level', choices=('debug', 'info', 'warn', 'error'), show_default='info', help='Log level of the nodes.'
)
duration = click.option(
    '--duration',
    default=0.0,
    type=click.FloatRange(0.0),
    metavar='SECONDS',
    show_default='no limit',
    help='End this many seconds after the robot is ready.',
)
report = click.option(
    '--report',
    metavar='FILE',
    type=FILE,
    show_default='none',
    callback=_check_report,
    help='Write a report as JSON to this file.',
)
view = click.option(
    '--view/--no-view',
    default=None,
    show_default='on a terminal, if the run has no limit',
    help='Show the live view, and read keys.',
)
as_json = click.option('--json', 'as_json', is_flag=True, help='Print JSON instead of text.')
yes = click.option('--yes', is_flag=True, help='Do not ask for confirmation.')


def model_folder(models_dir: Path, model: str) -> Path:
    """Returns the folder of an existing model; raises UserError with the names of those that exist."""
    folder = models_dir / model
    # A name, not a path: '..' or '/' would lead out of the folder.
    if model in ('', '.', '..') or '/' in model or not folder.is_dir():
        found = sorted(path.parent.name for path in models_dir.glob('*/config.json'))
        raise UserError(f'no model {model!r} in {models_dir}', found=', '.join(found) or 'no models')
    return folder


def absolute(path: Path | str) -> str:
    """Returns a path as absolute text, since nodes need not share our working directory; '' stays ''."""
    return str(Path(path).absolute()) if path else ''
