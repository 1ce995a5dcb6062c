"""`bench`: measures learning and curiosity, with baselines and confidence intervals, without a running graph."""

import click

from ..invocation import examples
from .bench_curiosity import command as curiosity
from .bench_learning import command as learning


@click.group('bench', epilog=examples('./cls bench learning --short', './cls bench curiosity --short'))
def command() -> None:
    """Measure learning and curiosity against baselines."""


command.add_command(learning)
command.add_command(curiosity)
