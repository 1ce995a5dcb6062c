"""Options that several commands share: each has one name, one meaning and one text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cls_bringup import arguments
from cls_bringup.arguments import ARGUMENTS
from cls_bringup.graph import HARDWARE
from cls_common.errors import UserError
from cls_common.robot import GYM
from cls_sim.settings import ROBOTS

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
SESSIONS = click.Path(path_type=Path)


def or_empty(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """Returns the value of a choice, empty if it is not given."""
    return value or ''


def graph_option(name: str, **attributes: Any) -> Callable[..., Any]:
    """Declares an option of GraphOptions, with the text and default of the launch argument of that name."""
    argument, default = ARGUMENTS[name], arguments.default(name)
    shown = {'is_flag': True} if isinstance(default, bool) else {'show_default': argument.unset or True}
    declared = {'default': default, 'help': argument.text, **shown}
    return click.option(f'--{name.replace("_", "-")}', **{**declared, **attributes})


def steps(default: int = 0) -> Callable[..., Any]:
    """Declares `--steps`; 0: no limit."""
    own: dict[str, Any] = {'default': default, 'show_default': True} if default else {}
    return graph_option('steps', type=click.IntRange(1 if default else 0), metavar='N', **own)


def mode(*choices: str) -> Callable[..., Any]:
    """Declares `--mode` with some of its choices, the first of which is its default."""
    return graph_option('mode', type=click.Choice(choices), default=choices[0], show_default=True)


def startup_timeout(default: float) -> Callable[..., Any]:
    """Declares `--startup-timeout`."""
    return click.option(
        '--startup-timeout',
        default=default,
        show_default=True,
        type=click.FloatRange(1.0),
        metavar='SECONDS',
        help='Give up after this many seconds in which the robot is not ready, or a replay waits.',
    )


def complete_model(context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    folder = Path(context.params.get('models_dir') or 'models')
    names = sorted(path.parent.name for path in folder.glob('*/config.json'))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_robot(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    known = [GYM if f'{name}:' == GYM else name for name in (*ROBOTS.names(), *HARDWARE)]
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _check_report(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise UserError(f'report {path}', expected='an existing folder', do=f'mkdir -p {path.parent}')
    return path


namespace = click.option(
    '--namespace', default='', metavar='NAME', show_default='none', help='ROS namespace of the graph.'
)
robot = graph_option('robot', metavar='ROBOT', shell_complete=_complete_robot)
# Eager: these choose the settings that --set may name.
brain = graph_option('brain', metavar='NAME', is_eager=True)
model = graph_option('model', metavar='NAME', is_eager=True, shell_complete=complete_model)
model_argument = click.argument('model', shell_complete=complete_model)
models_dir = graph_option('models_dir', metavar='FOLDER', is_eager=True, type=FOLDER)
sessions_dir = graph_option('sessions_dir', metavar='FOLDER', type=FOLDER)
accept_robot = graph_option('accept_robot')
encoder = graph_option('encoder', metavar='NAME')
preset = graph_option('preset', metavar='NAME')
seed = graph_option('seed', metavar='N', type=click.IntRange(-1))
scene = graph_option('scene', metavar='N', type=click.IntRange(-1))
port = graph_option('port', metavar='PATH')
camera = graph_option('camera', metavar='SOURCE')
lock_step = graph_option('lock_step')
record = graph_option('record')
save_frames = graph_option('save_frames')
filter_action = graph_option('filter_action', metavar='KEY=VALUE')
params_file = graph_option('params_file', metavar='FILE', type=click.Path())
log_level = click.option(
    '--log-level',
    type=click.Choice(('debug', 'info', 'warn', 'error')),
    show_default='info',
    callback=or_empty,
    help='Log level of the nodes.',
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
