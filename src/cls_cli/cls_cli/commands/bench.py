"""`bench`: measures, with baselines and intervals; nothing here needs a running graph."""

from dataclasses import replace
import os
from pathlib import Path
from typing import Any

import click

_WIDE = 240
SHORT_ROWS = ('default', 'reference', 'joint_equal')


@click.group('bench')
def command() -> None:
    """Measure what the robot learns, against everything that could do as well."""


@command.command('learning')
@click.option('--recipe', 'recipes', multiple=True, metavar='NAME',
              help='A row or preset, or one changed: NAME,SETTING=VALUE,...; default: all rows.')  # fmt: skip
@click.option('--encoder', 'encoders', multiple=True, metavar='NAME',
              help='Random eyes: NAME, NAME:bf16 or NAME:published; default: early_resnet18.')  # fmt: skip
@click.option('--scenes', type=click.IntRange(1), help='How many scenes are lived in.')
@click.option('--seeds', type=click.IntRange(1), help='How many worlds, orders and networks; 5, or 1 with --short.')
@click.option('--steps', type=click.IntRange(20), help='Wake steps in each scene.')
@click.option('--life', type=click.Choice(['short', 'long']), default='short', show_default=True,
              help='5 scenes x 1,000 steps with 20 % kept, or 20 x 500 with 5 % and 2 %.')  # fmt: skip
@click.option('--short', is_flag=True, help=f'3 scenes, 1 seed, {", ".join(SHORT_ROWS)}.')
@click.option('--json', 'json_file', type=click.Path(path_type=Path, dir_okay=False), help='Where the report goes.')
@click.option('--plot', 'plot_dir', type=click.Path(path_type=Path, file_okay=False), help='Where plots go.')
@click.option('--jobs', type=click.IntRange(1), help='Processes, each on one thread; default: one a core.')
@click.option('--cache', 'folder', default='build/bench', show_default=True,
              type=click.Path(path_type=Path, file_okay=False), help='What is kept from run to run.')  # fmt: skip
def learning(**options: Any) -> int:
    """Learn through scenes one after another, asleep and awake, and print how well.

    Rows that are finished are kept: a run that was stopped goes on where it was.
    """
    from rich.console import Console

    from ..bench.report import document, write
    from ..bench.table import show

    results = _run(options)
    report = document(results)
    if options['json_file']:
        write(options['json_file'], report)
    console = Console()
    # Into a file or a pipe a table goes in full.
    show(report, console if console.is_terminal else Console(width=_WIDE))
    if options['plot_dir']:
        from ..bench.plots import draw

        draw(report, options['plot_dir'])
    return 0


def _run(options: dict[str, Any]) -> Any:
    from rich.progress import Progress, TextColumn

    from ..bench.plan import LIVES
    from ..bench.rows import all_rows
    from ..bench.runner import Request, run

    short = options['short']
    changes = {name: options[name] for name in ('scenes', 'steps') if options[name]}
    plan = replace(LIVES[options['life']], **({'scenes': 3} if short else {}) | changes)
    # What sleep is worth when the night is free is a question to the long life.
    everything = tuple(name for name in all_rows() if plan.life == 'long' or '_waking' not in name)
    recipes = options['recipes'] or (SHORT_ROWS if short else everything)
    request = Request(
        plan=plan, recipes=recipes, encoders=options['encoders'] or ('early_resnet18',),
        seeds=options['seeds'] or (1 if short else 5), jobs=options['jobs'] or len(os.sched_getaffinity(0)),
        folder=options['folder'],
    )  # fmt: skip
    with Progress(*Progress.get_default_columns()[:2], TextColumn('{task.percentage:>3.0f} %'), transient=True) as bar:
        shown: dict[str, Any] = {}

        def report(label: str, share: float, _: float) -> None:
            if label not in shown:
                shown[label] = bar.add_task(label, total=1.0)
            bar.update(shown[label], completed=share, visible=share < 1.0)

        return run(request, report)
