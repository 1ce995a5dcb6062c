"""`bench curiosity`: how far the rewards of curiosity lead, and where."""

from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, names, run_shown, shared_options

_EXAMPLES = examples(
    './cls bench curiosity --short',
    './cls bench curiosity --world corner --reward random --report report.json',
)


@click.command('curiosity', epilog=_EXAMPLES)
@names('--reward', 'rewards', 'all', 'Reward, product of rewards, or the policy random, greedy or reference.')
@names('--world', 'worlds', 'all', 'World to explore.')
@names('--encoder', 'encoders', 'early_resnet18', 'Encoder as for `bench learning`, or thumbnail.')
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
    require('bench')
    from cls_bench.curiosity.plots import draw
    from cls_bench.curiosity.report import document
    from cls_bench.curiosity.runner import run
    from cls_bench.curiosity.table import show

    return deliver(document(run_shown(run, _curiosity_request(chosen))), show, draw, chosen)


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
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )
