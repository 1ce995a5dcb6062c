"""`./cls train`: both halves in one process, without ROS."""

from typing import Any

import click

from cls_common.overrides import by_node, RECIPE

from .. import set_options
from ..options import accept_robot, models_dir


@click.command(help='Learn in simulation in one process, without ROS, for STEPS more wake steps.')
@click.option('--robot', default='sim', show_default=True, help='sim, square or gym:ID.')
@click.option('--scene', default=-1, type=click.IntRange(-1), help='Which simulated scene.')
@click.option('--model', default='default', show_default=True, help='Name of the model; created where it is missing.')
@models_dir
@click.option('--steps', default=500, show_default=True, type=click.IntRange(1), help='Wake steps to add.')
@click.option('--seed', default=-1, help='Of world, networks and exploration. Implies one thread and an exact result.')
@click.option('--encoder', default='', help="By name; default: the model's own, retina for a new one.")
@click.option('--preset', default='', help='A recipe of config/presets, for a new model.')
@click.option('--mode', default='curiosity', show_default=True, type=click.Choice(['curiosity', 'random']))
@set_options.option
@accept_robot
def command(**options: Any) -> int:
    """Trains with a progress bar and prints the hash of the weights as its last line."""
    from rich.progress import Progress

    from cls_training.living import Progress as TrainProgress
    from cls_training.training import train, TrainOptions

    settings = by_node(options.pop('settings'))
    chosen = TrainOptions(
        overrides=settings.get(RECIPE, {}),
        simulator=settings.get('simulator', {}),
        encoder_settings=settings.get('encoder', {}),
        **options,
    )
    with Progress(transient=False) as bar:
        task = bar.add_task('waking', total=chosen.steps)

        def show(progress: TrainProgress) -> None:
            figures = ' '.join(f'{name} {value:.3f}' for name, value in progress.figures.items())
            bar.update(task, completed=progress.step, description=f'{progress.phase:6} {figures}')

        weights = train(chosen, show)
    click.echo(f'weights sha256 {weights}')
    return 0
