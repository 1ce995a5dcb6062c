"""`models`: what has been learned so far."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import options

_WIDEST = 1000
NONE_FOUND = 'No models found.'
_UNITS = ('B', 'kB', 'MB', 'GB')


@click.command('models')
@options.models_dir
def command(models_dir: Path) -> int:
    """List the saved models."""
    from cls_learning.model_store.listing import list_models

    summaries = list_models(models_dir)
    if not summaries:
        print(NONE_FOUND)
        return 0
    show(summaries)
    return 0


def show(summaries: Sequence[Any]) -> None:
    """Prints a table of model summaries, by name."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style='bold')
    for name in ('name', 'steps', 'cycles', 'encoder', 'robot', 'size', 'made', ''):
        table.add_column(name, justify='right' if name in ('steps', 'cycles', 'size') else 'left')
    for model in sorted(summaries, key=lambda summary: str(summary.name)):
        table.add_row(
            model.name, f'{model.total_steps:,}', f'{model.cycles:,}', model.encoder, model.robot,
            size(model.size_bytes), str(model.created_at), f'[red]{model.problem}[/]' if model.problem else '',
        )  # fmt: skip
    # As wide as it needs to be, also where no terminal reads it: a name that is cut can't be typed.
    console = Console(width=_WIDEST)
    with console.capture() as capture:
        console.print(table)
    print('\n'.join(row.rstrip() for row in capture.get().splitlines()))


def size(count: int) -> str:
    """Returns bytes for people."""
    power = 0
    while power < len(_UNITS) - 1 and count >= 1000 ** (power + 1):
        power += 1
    return f'{count / 1000**power:.{1 if power else 0}f} {_UNITS[power]}'
