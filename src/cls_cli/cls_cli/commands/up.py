"""`up`: starts a robot and its brain, and ends them in order."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions
from cls_common.comms import MODES

from .. import options, set_options
from ..invocation import examples
from ..running import run, SessionOptions

_SESSION = ('namespace', 'log_level', 'duration', 'startup_timeout', 'report', 'view')
_EXAMPLES = examples(
    './cls up                                   # a simulated robot',
    './cls up --model first --steps 2000 --report first.json',
    './cls up --robot pan_tilt --port /dev/ttyACM0 --mode curiosity',
    './cls up --robot gym:CartPole-v1 --record',
    './cls up --model second --set fast.ring=400 --set sim.noise_sigma=5',
)


@click.command('up', epilog=_EXAMPLES)
@options.robot
@options.brain
@options.model
@options.models_dir
@options.graph_option('mode', type=click.Choice(MODES), default=None, callback=options.or_empty)
@options.encoder
@options.preset
@set_options.option
@options.params_file
@options.accept_robot
@options.port
@options.camera
@options.scene
@options.lock_step
@options.seed
@options.steps()
@options.duration
@options.startup_timeout(180.0)
@options.record
@options.sessions_dir
@options.save_frames
@options.report
@options.view
@options.namespace
@options.log_level
def command(models_dir: Path, sessions_dir: Path, params_file: str, **chosen: Any) -> int:
    """Start a robot and its brain, and watch them.

    The key q or Ctrl-C saves the model and ends the run.
    """
    session = SessionOptions(**{name: chosen.pop(name) for name in _SESSION})
    chosen |= {'models_dir': options.absolute(models_dir), 'params_file': options.absolute(params_file)}
    chosen['sessions_dir'] = options.absolute(sessions_dir)
    return run(GraphOptions(**chosen), session)
