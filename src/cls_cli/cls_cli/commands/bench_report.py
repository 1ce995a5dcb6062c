"""What the measurements of `bench` share: options, and the delivery of a report."""

from collections.abc import Callable
import os
from typing import Any, TypeVar

import click

from .. import options

_WIDE = 240
Results = TypeVar('Results')


def names(flag: str, dest: str, shown: str, text: str) -> Callable[..., Any]:
    """Declares an option that chooses by name and may be repeated.

    Args:
        shown: its default, in words.
    """
    return click.option(
        flag, dest, multiple=True, metavar='NAME', show_default=shown, help=f'{text} This option may be repeated.'
    )  # fmt: skip


def seeds(default: int, short: int) -> Callable[..., Any]:
    """Declares `--seeds`, with its default and that with `--short`."""
    shown = f'{default}; with --short {short}'
    return click.option('--seeds', type=click.IntRange(1), metavar='N', show_default=shown, help='Number of seeds.')


def peers(flag: str, dest: str, peer: str) -> Callable[..., Any]:
    """Declares `--FLAG/--no-FLAG`, whether peers run, and `--keep-FLAG`, which stores their figures."""

    def add(function: Callable[..., int]) -> Callable[..., int]:
        keep = click.option(
            f'--keep-{flag}',
            'keeps_peers',
            is_flag=True,
            help=f'Store the figures of {peer} of this run for machines that do not run it.',
        )
        run = click.option(
            f'--{flag}/--no-{flag}',
            dest,
            default=None,
            show_default='on, but not with --short',
            help=f'Run {peer} in an environment of its own, or show the figures of an earlier run.',
        )
        return run(keep(function))

    return add


def run_shown(run: Callable[..., Results], request: Any) -> Results:
    """Runs a request with a progress bar."""
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task('', total=1.0)
        return run(request, lambda label, share: bar.update(task, description=label, completed=share))


def job_count(chosen: dict[str, Any]) -> int:
    """Returns the number of processes: as chosen, or one a core."""
    return chosen['jobs'] or len(os.sched_getaffinity(0))


def shared_options(function: Callable[..., int]) -> Callable[..., int]:
    """Adds the options that all measurements share."""
    for option in reversed(
        (
            options.report,
            click.option(
                '--plots-dir',
                metavar='FOLDER',
                type=options.FOLDER,
                show_default='none',
                help='Write plots to this folder.',
            ),
            click.option(
                '--jobs',
                type=click.IntRange(1),
                metavar='N',
                show_default='one per core',
                help='Number of processes, with one thread each.',
            ),
            click.option(
                '--cache-dir',
                default='build/bench',
                show_default=True,
                metavar='FOLDER',
                type=options.FOLDER,
                help='Folder of intermediate results, which later runs use.',
            ),
        )
    ):
        function = option(function)
    return function


def deliver(
    report: dict[str, Any], show: Callable[..., None], draw: Callable[..., Any] | None, chosen: dict[str, Any]
) -> int:
    """Writes, prints and, where it can be drawn, plots a report as the options say; returns the exit status."""
    from rich.console import Console

    from cls_bench.learning.report import write

    if chosen['report']:
        write(chosen['report'], report)
    console = Console()
    # Without a terminal a table is printed in full width.
    show(report, console if console.is_terminal else Console(width=_WIDE))
    if draw and chosen['plots_dir']:
        draw(report, chosen['plots_dir'])
    return 0
