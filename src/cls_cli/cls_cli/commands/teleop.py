"""`teleop`: keys to motion."""

import click

from .. import options
from ..keys import STEP_DEG


@click.command('teleop')
@click.option('--step', default=STEP_DEG, show_default=True, type=click.FloatRange(0.0, 90.0), help='Degrees a key.')
@options.namespace
def command(step: float, namespace: str) -> int:
    """Move the robot by keys: through the learner in mode manual, directly where no learner runs."""
    from ..nodes import teleop

    remap = ['-r', f'__ns:=/{namespace.strip("/")}'] if namespace else []
    status: int = teleop.main(['--ros-args', '-p', f'step:={step}', *remap])
    return status
