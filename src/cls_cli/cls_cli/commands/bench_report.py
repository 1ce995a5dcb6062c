"""What the measurements of `bench` share: options, and the delivery of a report."""

from collections.abc import Callable
from typing import Any

import click

from .. import options

_WIDE = 240


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
