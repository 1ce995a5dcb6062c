"""`evaluate`: the return of greedy episodes of a saved model."""

from pathlib import Path
from typing import Any

import click

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_common.overrides import by_node

from .. import options, set_options
from ..invocation import examples

_EXAMPLES = examples(
    './cls evaluate balance --episodes 100',
    './cls evaluate balance --episodes 1 --render balance.mp4',
)
_ROWS = {
    'reward_mean': 'mean reward', 'reward_std': 'standard deviation', 'reward_min': 'lowest reward',
    'reward_max': 'highest reward', 'length_mean': 'mean length', 'success_rate': 'success rate',
}  # fmt: skip


@click.command('evaluate', epilog=_EXAMPLES)
@options.model_argument
@options.models_dir
@click.option(
    '--episodes',
    default=10,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='Number of episodes.',
)
@click.option(
    '--max-length',
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    metavar='STEPS',
    help='Length at which an episode without an end is cut.',
)
@click.option(
    '--seed',
    default=-1,
    type=click.IntRange(-1),
    metavar='N',
    show_default='derived from that of the model',
    help='Random seed of the robot.',
)
@click.option(
    '--robot',
    default='',
    metavar='ROBOT',
    show_default='that of the model',
    help='Robot with the same actions and senses.',
)
@click.option(
    '--render',
    type=options.FILE,
    metavar='FILE',
    show_default='none',
    help='Write a video (mp4) of all episodes to this file.',
)
@click.option(
    '--set',
    'settings',
    multiple=True,
    metavar='NAME=VALUE',
    callback=lambda _, __, texts: _simulation(texts),
    show_default='none',
    help='Set a parameter of the simulation, such as sim.latency=0.1. This option may be repeated.',
)
@options.report
def command(**chosen: Any) -> int:
    """Run greedy episodes of a saved model, and print the reward.

    MODEL is the name of a model that learned for a reward. It is read and not changed. ROS is not used.
    """
    from rich.progress import Progress

    from cls_training.evaluation import evaluate, EvaluationOptions

    options.model_folder(chosen['models_dir'], chosen['model'])
    report = chosen.pop('report')
    simulator = chosen.pop('settings')
    if chosen['render'] is not None:
        _check_folder(chosen['render'])
    with Progress(transient=True) as bar:
        task = bar.add_task('episodes', total=chosen['episodes'])
        found = evaluate(
            EvaluationOptions(simulator=simulator, **chosen), lambda number: bar.update(task, completed=number)
        )
    figures = found.figures()
    click.echo(f'{chosen["model"]} after {found.steps} steps, on {found.robot}, greedy episodes: {len(found.episodes)}')
    for name, text in _ROWS.items():
        if name in figures:
            click.echo(f'{text:20}{figures[name]:.2f}')
    if report:
        rewards, lengths = zip(*((episode.reward, episode.length) for episode in found.episodes))
        of_model = {'model': chosen['model'], 'steps': found.steps, 'generation': found.generation}
        of_run = {'robot': found.robot, 'seed': found.seed, 'rewards': rewards, 'lengths': lengths}
        atomic_file.write_json(report, {**of_model, **of_run, **figures})
    return 0


def _simulation(texts: tuple[str, ...]) -> dict[str, Any]:
    others = [text for text in texts if not text.startswith('sim.')]
    if others:
        raise UserError(f'--set {others[0]}', expected='sim.NAME=VALUE: a model keeps its own settings')
    return by_node(set_options.checked(texts)).get('simulator', {})


def _check_folder(path: Path) -> None:
    if path.suffix != '.mp4' or not path.parent.is_dir():
        raise UserError(f'video {path}', expected='a name that ends in .mp4, in an existing folder')
