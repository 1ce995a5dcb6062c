"""`bench`: measures what is learned, with baselines and intervals, without a running graph."""

import click

from ..invocation import examples
from .bench_continual import command as continual
from .bench_control import command as control
from .bench_curiosity import command as curiosity
from .bench_developmental import command as developmental
from .bench_learning import command as learning
from .bench_rtrl import command as rtrl


@click.group('bench', epilog=examples('./cls bench learning --short', './cls bench curiosity --short'))
def command() -> None:
    """Measure learning, curiosity, control, forgetting, pictures and gradients."""


command.add_command(learning)
command.add_command(curiosity)
command.add_command(control)
command.add_command(continual)
command.add_command(developmental)
command.add_command(rtrl)
