"""`bench learning`: how well the learners learn and keep, against baselines."""

from dataclasses import replace
from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, names, shared_options

SHORT_ROWS = ('default', 'reference', 'joint_equal')
_EXAMPLES = examples(
    './cls bench learning --short',
    './cls bench learning --recipe default --recipe reference --report report.json',
    './cls bench learning --world all --plots-dir build/plots',
)


@click.command('learning', epilog=_EXAMPLES)
@names('--world', 'worlds', 'none', 'Learn in this named world, or with `all` in each of them.')
@names('--recipe', 'recipes', 'all', 'Baseline or preset, or a changed one: NAME,SETTING=VALUE,...')
@names(
    '--encoder',
    'encoders',
    'early_resnet18; with --world also retina',
    'Encoder: NAME, NAME:bf16, NAME:published or NAME:random.',
)
@click.option(
    '--scenes', type=click.IntRange(1), metavar='N', show_default='that of the protocol', help='Number of scenes.'
)
@click.option(
    '--seeds',
    type=click.IntRange(1),
    metavar='N',
    show_default='5; with --world 3; with --short 1',
    help='Number of seeds: of rooms, orders and networks.',
)
@click.option(
    '--length',
    type=click.IntRange(20),
    metavar='STEPS',
    show_default='that of the protocol or world',
    help='Length of each scene, or with --world of each world.',
)
@click.option(
    '--protocol',
    type=click.Choice(['short', 'long']),
    default='short',
    show_default=True,
    help='Protocol: 5 scenes of 1,000 steps with 20 % kept, or 20 of 500 with 5 % and 2 % kept.',
)
@click.option('--short', is_flag=True, help=f'Use 3 scenes, 1 seed, and {", ".join(SHORT_ROWS)}.')
@shared_options
def command(**chosen: Any) -> int:
    """Learn through scenes in turn, and print the scores.

    Finished results are kept: a run that was stopped continues.
    """
    require('bench')
    from cls_bench.learning.plots import draw, draw_environments
    from cls_bench.learning.report import document
    from cls_bench.learning.table import show, show_environments

    if chosen['worlds']:
        results = _run(_world_request(chosen))
        by_name = {each.protocol.environment: document(each) for each in results}
        return deliver({'worlds': by_name}, show_environments, draw_environments, chosen)
    return deliver(document(_run(_protocol_request(chosen))[0]), show, draw, chosen)


def _world_request(chosen: dict[str, Any]) -> Any:
    from cls_bench.learning import named_environments as worlds
    from cls_bench.learning.jobs import LearningRequest
    from cls_common.errors import UserError

    if chosen['scenes'] or chosen['short'] or chosen['protocol'] != 'short':
        found = 'one of --scenes, --short, --protocol'
        raise UserError('options beside --world', expected='--length, --seeds, --recipe, --encoder', found=found)
    asked = [name for world in chosen['worlds'] for name in (worlds.ENVIRONMENTS if world == 'all' else (world,))]
    return LearningRequest(
        protocols=tuple(worlds.protocol_of(name, chosen['length'] or worlds.STEPS) for name in dict.fromkeys(asked)),
        recipes=chosen['recipes'] or worlds.BASELINES,
        encoders=chosen['encoders'] or worlds.ENCODERS,
        seeds=chosen['seeds'] or worlds.SEEDS,
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )


def _protocol_request(chosen: dict[str, Any]) -> Any:
    from cls_bench.learning.baselines import all_baselines
    from cls_bench.learning.jobs import LearningRequest
    from cls_bench.learning.protocol import STREAMS

    short = chosen['short']
    changes = {name: value for name, value in (('scenes', chosen['scenes']), ('steps', chosen['length'])) if value}
    protocol = replace(STREAMS[chosen['protocol']], **({'scenes': 3} if short else {}) | changes)
    # The value of sleep that costs no time is measured by the long protocol only.
    everything = tuple(name for name in all_baselines() if protocol.stream == 'long' or '_waking' not in name)
    recipes = chosen['recipes'] or (SHORT_ROWS if short else everything)
    return LearningRequest(
        protocols=(protocol,),
        recipes=recipes,
        encoders=chosen['encoders'] or ('early_resnet18',),
        seeds=chosen['seeds'] or (1 if short else 5),
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )


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
