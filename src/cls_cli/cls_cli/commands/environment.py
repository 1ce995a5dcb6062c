"""`exec`, `add`: the environment itself. The script `cls` does both before Python starts; here they are explained."""

import os
from pathlib import Path

import click

from cls_common.errors import UserError

from ..invocation import examples
from ..layers import ALL


def root() -> Path:
    """Returns the repository; raises UserError if this program was not started by the script `cls` in it."""
    if not (found := os.environ.get('CLS_ROOT')):
        raise UserError('CLS_ROOT is not set', do='Start this command by the script `cls` of the repository.')
    return Path(found)


@click.command(
    'exec',
    context_settings={'ignore_unknown_options': True, 'allow_interspersed_args': False},
    epilog=examples('./cls exec python', './cls exec bash', './cls exec colcon test --packages-select cls_sim'),
)
@click.argument('program')
@click.argument('arguments', nargs=-1, type=click.UNPROCESSED)
def exec_command(program: str, arguments: tuple[str, ...]) -> int:
    """Run any program in the environment of the workspace."""
    try:
        os.execvp(program, [program, *arguments])
    except OSError as error:
        raise UserError(f'program {program!r}', expected='a program on PATH', found=str(error.strerror)) from error


@click.command('add', epilog=examples('./cls add export', './cls add export bench'))
@click.argument('layers', nargs=-1, required=True, metavar='LAYER...', type=click.Choice(ALL))
def add_command(layers: tuple[str, ...]) -> int:
    """Install packages for some commands: export, bench, examples or dev.

    Such a command also installs its layer by itself when it is first called.
    """
    script = root() / 'cls'
    os.execv(script, [str(script), 'add', *layers])
