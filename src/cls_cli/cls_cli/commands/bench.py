"""`bench`: measures learning, curiosity and RTRL, with baselines and intervals, without a running graph."""

import click

from ..invocation import examples
from .bench_curiosity import command as curiosity
from .bench_learning import command as learning
from .bench_rtrl import command as rtrl


@click.group('bench', epilog=examples('./cls bench learning --short', './cls bench curiosity --short'))
def command() -> None:
    """Measure learning, curiosity and online gradients against baselines."""


command.add_command(learning)
command.add_command(curiosity)
command.add_command(rtrl)
