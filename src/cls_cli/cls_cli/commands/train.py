"""`train`: learns in simulation, in one process."""

from collections.abc import Mapping
import math
import sys
from typing import Any

import click

from cls_common.overrides import by_node, RECIPE

from .. import options, set_options
from ..invocation import examples

_EXAMPLES = examples(
    './cls train --steps 2000',
    './cls train --model second --seed 1 --preset reference',
    './cls train --robot gym:CartPole-v1 --encoder identity',
    './cls train --brain developmental --robot toroidal_dot --confirm',
)

# Steps between two updates of the progress bar, since drawing takes time.
_SHOW_EVERY = 20
# Metrics beside the bar; after the run all known ones have a line.
_SHOWN = 2


@click.command('train', epilog=_EXAMPLES)
@options.robot
@options.scene
@options.brain
@options.model
@options.models_dir
@options.steps(500)
@options.seed
@options.encoder
@options.preset
@options.mode('curiosity', 'random', 'greedy')
@click.option('--confirm', is_flag=True, help='Ask before each action: accept it, type another one, or end.')
@set_options.option
@options.accept_robot
def command(confirm: bool, **chosen: Any) -> int:
    """Learn in simulation in one process.

    ROS is not used. An existing model continues. The last line printed is the hash of the weights.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from cls_training.train_loop import TrainProgress
    from cls_training.training import accept, train, TrainOptions

    from ..confirmation import Confirmation

    settings = by_node(chosen.pop('settings'))
    asked = TrainOptions(
        overrides=settings.get(RECIPE, {}),
        simulator=settings.get('simulator', {}),
        encoder_settings=settings.get('encoder', {}),
        **chosen,
    )
    columns = (
        TextColumn('{task.description}'),
        BarColumn(20),
        TextColumn('{task.percentage:3.0f}%'),
        TimeRemainingColumn(),
    )
    figures: dict[str, float] = {}
    with Progress(*columns, transient=True, disable=confirm) as bar:
        task = bar.add_task('wake', total=asked.steps)

        def show(progress: TrainProgress) -> None:
            if progress.phase == 'wake' and progress.step % _SHOW_EVERY and progress.step < asked.steps:
                return
            measured = progress.measure()
            if progress.phase == 'wake':
                figures.update(measured)
            shown = _text(dict(list(measured.items())[:_SHOWN]))
            bar.update(task, completed=progress.step, description=f'{progress.phase:6} {shown}')

        weights = train(asked, show, Confirmation(sys.stdin.fileno()) if confirm else accept)
    if text := _text(figures):
        click.echo(text)
    click.echo(f'weights sha256 {weights}')
    return 0


def _text(figures: Mapping[str, float]) -> str:
    return '  '.join(f'{name} {value:.3f}' for name, value in figures.items() if math.isfinite(value))
