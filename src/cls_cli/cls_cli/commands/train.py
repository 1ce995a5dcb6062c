"""`train`: learns in simulation, in one process."""

from typing import Any

import click

from cls_common.overrides import by_node, RECIPE

from .. import options, set_options
from ..invocation import examples

_EXAMPLES = examples(
    './cls train --steps 2000',
    './cls train --model second --seed 1 --preset reference',
    './cls train --robot gym:CartPole-v1 --encoder identity',
)

# Steps between two updates of the progress bar, since drawing takes time.
_SHOW_EVERY = 20


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
@options.mode('curiosity', 'random')
@set_options.option
@options.accept_robot
def command(**chosen: Any) -> int:
    """Learn in simulation in one process.

    ROS is not used. An existing model continues. The last line printed is the hash of the weights.
    """
    from rich.progress import Progress

    from cls_training.train_loop import TrainProgress
    from cls_training.training import train, TrainOptions

    settings = by_node(chosen.pop('settings'))
    asked = TrainOptions(
        overrides=settings.get(RECIPE, {}),
        simulator=settings.get('simulator', {}),
        encoder_settings=settings.get('encoder', {}),
        **chosen,
    )
    with Progress(transient=False) as bar:
        task = bar.add_task('wake', total=asked.steps)

        def show(progress: TrainProgress) -> None:
            if progress.phase == 'wake' and progress.step % _SHOW_EVERY and progress.step < asked.steps:
                return
            figures = ' '.join(f'{name} {value:.3f}' for name, value in progress.measure().items())
            bar.update(task, completed=progress.step, description=f'{progress.phase:6} {figures}')

        weights = train(asked, show)
    click.echo(f'weights sha256 {weights}')
    return 0
