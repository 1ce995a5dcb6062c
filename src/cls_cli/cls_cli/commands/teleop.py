"""`teleop`: moves the robot by keys."""

import click

from .. import options
from ..invocation import examples
from ..keys import STEP_DEG


@click.command('teleop', epilog=examples('./cls teleop', './cls teleop --step 2'))
@click.option(
    '--step',
    default=STEP_DEG,
    show_default=True,
    type=click.FloatRange(0.0, 90.0),
    metavar='DEGREES',
    help='Angle of one key press on a pan-tilt robot.',
)
@options.namespace
def command(step: float, namespace: str) -> int:
    """Move the robot by keys.

    While a learner runs, it executes the actions in mode manual. Without a learner they go directly to the robot.
    """
    from ..nodes import teleop

    remap = ['-r', f'__ns:=/{namespace.strip("/")}'] if namespace else []
    status: int = teleop.main(['--ros-args', '-p', f'step:={step}', *remap])
    return status
