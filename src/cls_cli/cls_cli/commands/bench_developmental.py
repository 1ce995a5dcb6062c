"""`bench developmental`: what the brain `developmental` predicts of pictures, beside other recipes and its peer."""

from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, names, peers, run_shown, seeds, shared_options

_SHORT = ('default', 'reference')
_EXAMPLES = examples(
    './cls bench developmental --short',
    './cls bench developmental --recipe default --recipe lewm --seeds 1',
)


@click.command('developmental', epilog=_EXAMPLES)
@names('--world', 'worlds', 'all; with --short dot', 'World: dot, room or corridor.')
@names(
    '--recipe',
    'recipes',
    f'all; with --short {", ".join(_SHORT)}',
    'Recipe of the dot: black, copy, blind, default, squared, weighted, focal, no_sleep, reference or lewm; of the '
    'room: sleep, no_sleep or fifo; of the corridor: flat, macro or flat_breadth.',
)
@seeds(3, 1)
@click.option(
    '--seconds',
    type=click.FloatRange(1.0),
    metavar='SECONDS',
    default=300.0,
    show_default=True,
    help='Processor seconds in which each recipe learns the dot, on one core.',
)
@click.option(
    '--length',
    type=click.IntRange(100),
    metavar='STEPS',
    default=1000,
    show_default=True,
    help='Length of each of the five scenes of the room.',
)
@peers('peers', 'runs_peers', 'LeWorldModel of torch-world')
@click.option('--short', is_flag=True, help=f'Use {", ".join(_SHORT)} on the dot, and 1 seed.')
@shared_options
def command(**chosen: Any) -> int:
    """Measure how well unseen pictures are predicted.

    Finished runs are cached; a run that was stopped continues.
    """
    require('bench')
    from cls_bench.developmental.lewm import write_figures
    from cls_bench.developmental.plots import draw
    from cls_bench.developmental.report import document
    from cls_bench.developmental.runner import run
    from cls_bench.developmental.table import show

    results = run_shown(run, _request(chosen))
    report = document(results)
    if chosen['keeps_peers'] and not results.peers_date:
        write_figures(report['runs'])
    return deliver(report, show, draw, chosen)


def _request(chosen: dict[str, Any]) -> Any:
    from cls_bench.developmental.recipes import DOT, RECIPES, rows
    from cls_bench.developmental.runner import DevelopmentalRequest

    short, runs_peers = chosen['short'], chosen['runs_peers']
    worlds = tuple(dict.fromkeys(chosen['worlds'])) or ((DOT,) if short else tuple(RECIPES))
    recipes = tuple(dict.fromkeys(chosen['recipes'])) or (_SHORT if short else ())
    return DevelopmentalRequest(
        rows=rows(worlds, recipes),
        seeds=chosen['seeds'] or (1 if short else 3),
        seconds=chosen['seconds'],
        length=chosen['length'],
        runs_peers=not short if runs_peers is None else runs_peers,
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )
