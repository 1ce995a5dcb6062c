"""`bench`: measures, with baselines and intervals; nothing here needs a running graph."""

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
from typing import Any

import click

from ..layers import require

_WIDE = 240
SHORT_ROWS = ('default', 'reference', 'joint_equal')


def _kept_and_shown(function: Callable[..., int]) -> Callable[..., int]:
    """Adds the options that all measurements share: where results go, how many processes, where caches lie."""
    for option in reversed((
        click.option('--json', 'json_file', type=click.Path(path_type=Path, dir_okay=False),
                     help='Where the report goes.'),
        click.option('--plot', 'plot_dir', type=click.Path(path_type=Path, file_okay=False), help='Where plots go.'),
        click.option('--jobs', type=click.IntRange(1), help='Processes, each on one thread; default: one a core.'),
        click.option('--cache', 'folder', default='build/bench', show_default=True,
                     type=click.Path(path_type=Path, file_okay=False), help='What is kept from run to run.'),
    )):  # fmt: skip
        function = option(function)
    return function


def _deliver(
    report: dict[str, Any], show: Callable[..., None], draw: Callable[..., Any], options: dict[str, Any]
) -> int:
    """Writes, prints and plots a report, as asked for; returns the exit status."""
    from rich.console import Console

    from cls_bench.learning.report import write

    if options['json_file']:
        write(options['json_file'], report)
    console = Console()
    # Into a file or a pipe a table goes in full.
    show(report, console if console.is_terminal else Console(width=_WIDE))
    if options['plot_dir']:
        draw(report, options['plot_dir'])
    return 0


@click.group('bench')
def command() -> None:
    """Measure what the robot learns, against everything that could do as well."""


@command.command('learning')
@click.option('--world', 'worlds', multiple=True, metavar='NAME',
              help='Learn in this named world as a robot in use does, or in all of them: all.')  # fmt: skip
@click.option('--recipe', 'recipes', multiple=True, metavar='NAME',
              help='A row or preset, or one changed: NAME,SETTING=VALUE,...; default: all rows.')  # fmt: skip
@click.option('--encoder', 'encoders', multiple=True, metavar='NAME',
              help='Encoder: NAME, NAME:bf16, NAME:published, NAME:random; default: early_resnet18, with worlds '
                   'retina too.')  # fmt: skip
@click.option('--scenes', type=click.IntRange(1), help='How many scenes are lived in.')
@click.option('--seeds', type=click.IntRange(1),
              help='How many rooms, orders and networks; 5, 3 with --world, or 1 with --short.')  # fmt: skip
@click.option('--steps', type=click.IntRange(20), help='Wake steps in each scene; with --world, in all.')
@click.option('--life', type=click.Choice(['short', 'long']), default='short', show_default=True,
              help='5 scenes x 1,000 steps with 20 % kept, or 20 x 500 with 5 % and 2 %.')  # fmt: skip
@click.option('--short', is_flag=True, help=f'3 scenes, 1 seed, {", ".join(SHORT_ROWS)}.')
@_kept_and_shown
def learning(**options: Any) -> int:
    """Learn through scenes one after another, asleep and awake, and print how well.

    Rows that are finished are kept: a run that was stopped goes on where it was.
    """
    require('bench')
    from cls_bench.learning.plots import draw, draw_environments
    from cls_bench.learning.report import document
    from cls_bench.learning.table import show, show_environments

    if options['worlds']:
        results = _run(_world_request(options))
        by_name = {each.protocol.environment: document(each) for each in results}
        return _deliver({'worlds': by_name}, show_environments, draw_environments, options)
    return _deliver(document(_run(_life_request(options))[0]), show, draw, options)


def _world_request(options: dict[str, Any]) -> Any:
    from cls_bench.learning import named_environments as worlds
    from cls_bench.learning.jobs import LearningRequest
    from cls_common.errors import UserError

    if options['scenes'] or options['short'] or options['life'] != 'short':
        found = 'one of --scenes, --short, --life'
        raise UserError('options beside --world', expected='--steps, --seeds, --recipe, --encoder', found=found)
    asked = [name for world in options['worlds'] for name in (worlds.ENVIRONMENTS if world == 'all' else (world,))]
    return LearningRequest(
        protocols=tuple(worlds.protocol_of(name, options['steps'] or worlds.STEPS) for name in dict.fromkeys(asked)),
        recipes=options['recipes'] or worlds.BASELINES, encoders=options['encoders'] or worlds.ENCODERS,
        seeds=options['seeds'] or worlds.SEEDS, jobs=options['jobs'] or len(os.sched_getaffinity(0)),
        folder=options['folder'],
    )  # fmt: skip


def _life_request(options: dict[str, Any]) -> Any:
    from cls_bench.learning.baselines import all_baselines
    from cls_bench.learning.jobs import LearningRequest
    from cls_bench.learning.protocol import STREAMS

    short = options['short']
    changes = {name: options[name] for name in ('scenes', 'steps') if options[name]}
    protocol = replace(STREAMS[options['life']], **({'scenes': 3} if short else {}) | changes)
    # What sleep is worth when the night is free is a question to the long life.
    everything = tuple(name for name in all_baselines() if protocol.stream == 'long' or '_waking' not in name)
    recipes = options['recipes'] or (SHORT_ROWS if short else everything)
    return LearningRequest(
        protocols=(protocol,), recipes=recipes, encoders=options['encoders'] or ('early_resnet18',),
        seeds=options['seeds'] or (1 if short else 5), jobs=options['jobs'] or len(os.sched_getaffinity(0)),
        folder=options['folder'],
    )  # fmt: skip


def _run(request: Any) -> Any:
    from rich.progress import Progress, TextColumn

    from cls_bench.learning.runner import run

    with Progress(*Progress.get_default_columns()[:2], TextColumn('{task.percentage:>3.0f} %'), transient=True) as bar:
        shown: dict[str, Any] = {}

        def report(label: str, share: float, _: float) -> None:
            if label not in shown:
                shown[label] = bar.add_task(label, total=1.0)
            bar.update(shown[label], completed=share, visible=share < 1.0)

        return run(request, report)


@command.command('curiosity')
@click.option('--reward', 'rewards', multiple=True, metavar='NAME',
              help='A reward, a product of rewards, random, greedy or reference; default: all rows.')  # fmt: skip
@click.option('--world', 'worlds', multiple=True, metavar='NAME', help='Where to explore; default: all worlds.')
@click.option('--encoder', 'encoders', multiple=True, metavar='NAME',
              help='Eyes, as for learning, or thumbnail; default: early_resnet18.')  # fmt: skip
@click.option('--starts', type=click.IntRange(1), help='Walks in each world; 10, or 2 with --short.')
@click.option('--seeds', type=click.IntRange(1), help='Scenes among which the starts are dealt; 2, or 1 with --short.')
@click.option('--steps', type=click.IntRange(20), help='Of a walk at most; default: as each world says.')
@click.option('--short', is_flag=True, help='2 starts in 1 scene and 2 worlds, seen as thumbnails.')
@_kept_and_shown
def curiosity(**options: Any) -> int:
    """Explore worlds by every reward, and print how far it came and what it was drawn to.

    Walks that are finished are kept: a run that was stopped goes on where it was.
    """
    from rich.progress import Progress

    require('bench')
    from cls_bench.curiosity.plots import draw
    from cls_bench.curiosity.report import document
    from cls_bench.curiosity.runner import run
    from cls_bench.curiosity.table import show

    request = _curiosity_request(options)
    with Progress(transient=True) as bar:
        task = bar.add_task('', total=1.0)
        results = run(request, lambda label, share: bar.update(task, description=label, completed=share))
    return _deliver(document(results), show, draw, options)


def _curiosity_request(options: dict[str, Any]) -> Any:
    from cls_bench.curiosity.environments import ENVIRONMENTS
    from cls_bench.curiosity.explorers import ALL
    from cls_bench.curiosity.runner import ExplorationRequest
    from cls_bench.curiosity.views import ENCODER, THUMBNAIL
    from cls_common.errors import UserError

    short = options['short']
    worlds = options['worlds'] or (('noise', 'corner') if short else tuple(ENVIRONMENTS))
    for name in worlds:
        if name not in ENVIRONMENTS:
            raise UserError(f'unknown world {name!r}', expected='one of ' + ', '.join(ENVIRONMENTS))
    return ExplorationRequest(
        rewards=tuple(dict.fromkeys(options['rewards'])) or ALL, environments=tuple(dict.fromkeys(worlds)),
        encoders=tuple(dict.fromkeys(options['encoders'])) or (THUMBNAIL if short else ENCODER,),
        starts=options['starts'] or (2 if short else 10), seeds=options['seeds'] or (1 if short else 2),
        steps=options['steps'] or (500 if short else 0), jobs=options['jobs'] or len(os.sched_getaffinity(0)),
        folder=options['folder'],
    )  # fmt: skip
