"""`models`: lists, shows, measures, exports and deletes saved models."""

from collections.abc import Sequence
from contextlib import ExitStack
import json
from pathlib import Path
from typing import Any

import click

from cls_common.errors import UserError

from .. import options
from ..deletion import delete
from ..invocation import examples
from .models_export import command as export_command
from .models_operations import command as operations_command

_WIDEST = 1000
# Any of these makes a folder a model, also a damaged one.
_OF_A_MODEL = ('config.json', 'generations', 'journal')
NONE_FOUND = 'No models found.'
_UNITS = ('B', 'kB', 'MB', 'GB')


@click.group('models', epilog=examples('./cls models list', './cls models show default', './cls models delete first'))
def command() -> None:
    """List, show, measure, export or delete saved models."""


@command.command('list', epilog=examples('./cls models list', './cls models list --models-dir /data/models'))
@options.models_dir
def list_command(models_dir: Path) -> int:
    """List the saved models."""
    from cls_learning.model_store.listing import list_models

    summaries = list_models(models_dir)
    if not summaries:
        print(NONE_FOUND)
        return 0
    show_table(summaries)
    return 0


@command.command('show', epilog=examples('./cls models show default', './cls models show default --json'))
@options.model_argument
@options.models_dir
@options.as_json
def show_command(model: str, models_dir: Path, as_json: bool) -> int:
    """Show every setting of MODEL with its origin, and its encoder."""
    from cls_learning.model_store.listing import read_config

    config = read_config(options.model_folder(models_dir, model))
    if as_json:
        print(json.dumps(config, indent=2))
        return 0
    shown = config['values'] | {f'encoder.{name}': value for name, value in config['encoder'].items()}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print(f'{name:<{width}}  {value!s:<20}  {config["origins"].get(name, "")}'.rstrip())
    return 0


@command.command('hash', epilog=examples('./cls models hash default'))
@options.model_argument
@options.models_dir
def hash_command(model: str, models_dir: Path) -> int:
    """Print the SHA-256 of the weights of MODEL as last saved.

    Models with the same hash have the same weights.
    """
    from cls_learning.model_store.listing import weights_hash

    value = weights_hash(options.model_folder(models_dir, model))
    if not value:
        raise UserError(f'model {model!r} was never saved', do='`./cls save` while it runs.')
    print(value)
    return 0


command.add_command(export_command)
command.add_command(operations_command)


@command.command('delete', epilog=examples('./cls models delete first', './cls models delete first second --yes'))
@click.argument('models', nargs=-1, required=True, metavar='MODEL...', shell_complete=options.complete_model)
@options.models_dir
@options.yes
def delete_command(models: tuple[str, ...], models_dir: Path, yes: bool) -> int:
    """Delete each MODEL with everything that it learned.

    A model in use is refused, and then none is deleted.
    """
    from cls_learning.model_store import ownership

    folders = [options.model_folder(models_dir, name) for name in dict.fromkeys(models)]
    with ExitStack() as owned:
        for folder in folders:
            if not any((folder / name).exists() for name in _OF_A_MODEL):
                raise UserError(f'folder {folder}', expected='a model', found='none of its files')
            ownership.check_access(folder)
            owned.callback(ownership.take(folder).release)
        return delete(folders, 'model', yes)


def show_table(summaries: Sequence[Any]) -> None:
    """Prints a table of model summaries, by name."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style='bold')
    for name in ('name', 'steps', 'cycles', 'encoder', 'robot', 'size', 'made', ''):
        table.add_column(name, justify='right' if name in ('steps', 'cycles', 'size') else 'left')
    for model in sorted(summaries, key=lambda summary: str(summary.name)):
        table.add_row(
            model.name,
            f'{model.total_steps:,}',
            f'{model.cycles:,}',
            model.encoder,
            model.robot,
            size(model.size_bytes),
            str(model.created_at),
            f'[red]{model.problem}[/]' if model.problem else '',
        )
    # As wide as needed, also without a terminal: a name that is cut can not be typed.
    console = Console(width=_WIDEST)
    with console.capture() as capture:
        console.print(table)
    print('\n'.join(row.rstrip() for row in capture.get().splitlines()))


def size(count: int) -> str:
    """Returns a number of bytes as text."""
    power = 0
    while power < len(_UNITS) - 1 and count >= 1000 ** (power + 1):
        power += 1
    return f'{count / 1000**power:.{1 if power else 0}f} {_UNITS[power]}'
