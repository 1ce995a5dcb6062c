"""`continual`: learns some tasks in turn, and prints what each brought."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cls_common import atomic_file
from cls_common.overrides import by_node, RECIPE

from .. import options, set_options
from ..invocation import examples

_EXAMPLES = examples(
    './cls continual --tasks 3 --episodes 10',
    './cls continual --tasks 6 --verbose --model six --seed 1',
    './cls continual --brain cls --encoder identity --report tasks.json',
)
# Episodes from one line to the next.
_EVERY = 5


@click.command('continual', epilog=_EXAMPLES)
@click.option('--tasks', default=3, show_default=True, type=click.IntRange(1), metavar='N', help='Number of tasks.')
@click.option(
    '--episodes', default=10, show_default=True, type=click.IntRange(1), metavar='N', help='Episodes of each task.'
)
@click.option(
    '--length', default=100, show_default=True, type=click.IntRange(1), metavar='STEPS', help='Steps of an episode.'
)
@click.option(
    '--brain', default='cross_modal', show_default=True, is_eager=True, metavar='NAME', help='Brain of a new model.'
)
@click.option(
    '--model',
    default='tasks',
    show_default=True,
    is_eager=True,
    metavar='NAME',
    shell_complete=options.complete_model,
    help='Model to create or continue.',
)
@options.models_dir
@options.seed
@options.encoder
@options.preset
@options.mode('curiosity', 'random', 'greedy')
@set_options.option
@click.option('--verbose', is_flag=True, help='Print every fifth episode.')
@click.option(
    '--report',
    type=click.Path(dir_okay=False, path_type=Path),
    metavar='FILE',
    show_default='none',
    help='Write all figures as JSON.',
)
def command(tasks: int, episodes: int, length: int, verbose: bool, report: Path | None, **chosen: Any) -> int:
    """Learn some tasks in turn.

    The robot is `task_switching`; the brain gets no sign of a change. The last line printed is the hash of the
    weights.
    """
    from cls_training.continual import continual_learning_cycle, Episode
    from cls_training.training import TrainOptions

    settings = by_node(chosen.pop('settings'))
    asked = TrainOptions(
        steps=1, overrides=settings.get(RECIPE, {}), simulator=settings.get('simulator', {}),
        encoder_settings=settings.get('encoder', {}), **chosen,
    )  # fmt: skip
    click.echo(f'{tasks} tasks, {episodes} episodes of {length} steps each, brain {asked.brain}')

    def show(episode: Episode) -> None:
        if verbose and episode.number % _EVERY == 0:
            click.echo(
                f'task {episode.task}  episode {episode.number:3}  loss {episode.mean_loss:8.4f}  '
                f'reward {episode.total_reward:10.2f}  {episode.steps} steps'
            )

    result = continual_learning_cycle(asked, tasks, episodes, length, show)
    click.echo('task  loss first  loss last  reward first  reward last  divergence')
    rows = zip(result.task_losses, result.task_rewards, result.divergences, strict=True)
    for task, (losses, rewards, divergence) in enumerate(rows):
        ends = f'{losses[0]:10.4f}  {losses[-1]:9.4f}  {rewards[0]:12.2f}  {rewards[-1]:11.2f}'
        click.echo(f'{task:4}  {ends}  {divergence:10.4f}')
    if report is not None:
        atomic_file.write_json(report, asdict(result), allow_nan=True)
    click.echo(f'weights sha256 {result.weights}')
    return 0
