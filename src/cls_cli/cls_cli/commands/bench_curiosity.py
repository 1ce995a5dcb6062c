"""`bench curiosity`: how far the rewards of curiosity lead, and where."""

import os
from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, shared_options

_EXAMPLES = examples(
    './cls bench curiosity --short',
    './cls bench curiosity --world corner --reward random --report report.json',
)


@click.command('curiosity', epilog=_EXAMPLES)
@click.option(
    '--reward',
    'rewards',
    multiple=True,
    metavar='NAME',
    show_default='all',
    help='Reward, product of rewards, or the policy random, greedy or reference. This option may be repeated.',
)
@click.option(
    '--world',
    'worlds',
    multiple=True,
    metavar='NAME',
    show_default='all',
    help='World to explore. This option may be repeated.',
)
@click.option(
    '--encoder',
    'encoders',
    multiple=True,
    metavar='NAME',
    show_default='early_resnet18',
    help='Encoder as for `bench learning`, or thumbnail. This option may be repeated.',
)
@click.option(
    '--starts',
    type=click.IntRange(1),
    metavar='N',
    show_default='10; with --short 2',
    help='Number of walks in each world.',
)
@click.option(
    '--seeds',
    type=click.IntRange(1),
    metavar='N',
    show_default='2; with --short 1',
    help='Number of seeds, over which the walks are distributed.',
)
@click.option(
    '--length',
    type=click.IntRange(20),
    metavar='STEPS',
    show_default='that of the world',
    help='Largest length of each walk.',
)
@click.option('--short', is_flag=True, help='Use 2 starts in 1 scene and 2 worlds, seen as thumbnails.')
@shared_options
def command(**chosen: Any) -> int:
    """Explore worlds by every reward, and print where each leads.

    Finished walks are kept: a run that was stopped continues.
    """
    from rich.progress import Progress

    require('bench')
    from cls_bench.curiosity.plots import draw
    from cls_bench.curiosity.report import document
    from cls_bench.curiosity.runner import run
    from cls_bench.curiosity.table import show

    request = _curiosity_request(chosen)
    with Progress(transient=True) as bar:
        task = bar.add_task('', total=1.0)
        results = run(request, lambda label, share: bar.update(task, description=label, completed=share))
    return deliver(document(results), show, draw, chosen)


def _curiosity_request(chosen: dict[str, Any]) -> Any:
    from cls_bench.curiosity.environments import ENVIRONMENTS
    from cls_bench.curiosity.explorers import ALL
    from cls_bench.curiosity.runner import ExplorationRequest
    from cls_bench.curiosity.views import ENCODER, THUMBNAIL
    from cls_common.errors import UserError

    short = chosen['short']
    worlds = chosen['worlds'] or (('noise', 'corner') if short else tuple(ENVIRONMENTS))
    for name in worlds:
        if name not in ENVIRONMENTS:
            raise UserError(f'unknown world {name!r}', expected='one of ' + ', '.join(ENVIRONMENTS))
    return ExplorationRequest(
        rewards=tuple(dict.fromkeys(chosen['rewards'])) or ALL,
        environments=tuple(dict.fromkeys(worlds)),
        encoders=tuple(dict.fromkeys(chosen['encoders'])) or (THUMBNAIL if short else ENCODER,),
        starts=chosen['starts'] or (2 if short else 10),
        seeds=chosen['seeds'] or (1 if short else 2),
        steps=chosen['length'] or (500 if short else 0),
        jobs=chosen['jobs'] or len(os.sched_getaffinity(0)),
        folder=chosen['cache_dir'],
    )
