"""`bench rtrl`: learning without a tape, beside backpropagation through time."""

from typing import Any

import click

from .. import options
from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, run_shown

_LENGTHS, _SHORT_LENGTHS = (8, 16, 32, 64, 128), (8, 16)
_SHORT_AGENTS = ('sparse', 'SnAp-1', '4 paths', 'trace units')
_EXAMPLES = examples(
    './cls bench rtrl --short', './cls bench rtrl --length 8 --length 128 --seeds 5 --report rtrl.json'
)


@click.command('rtrl', epilog=_EXAMPLES)
@click.option(
    '--length',
    'lengths',
    type=click.IntRange(3),
    multiple=True,
    metavar='STEPS',
    show_default='8, 16, 32, 64, 128; with --short 8, 16',
    help='Length of the memory chain. This option may be repeated.',
)
@click.option(
    '--seeds',
    type=click.IntRange(1),
    metavar='N',
    show_default='3; with --short 1',
    help='Seeds of chains and weights.',
)
@click.option(
    '--jobs', type=click.IntRange(1), metavar='N', show_default='one per core', help='Number of processes that learn.'
)
@click.option('--short', is_flag=True, help='Use 2 lengths, 1 seed, fewer levels and small networks.')
@options.report
def command(**chosen: Any) -> int:
    """Count and time real-time recurrent learning.

    Its exact, sparse and approximate levels are measured beside backpropagation through time, and learn a memory chain,
    where what was seen at the first step is asked for at the last, and a robot that answers two steps late.
    """
    require('bench')
    from cls_bench.recurrent.report import document
    from cls_bench.recurrent.runner import run
    from cls_bench.recurrent.table import show

    return deliver(document(run_shown(run, _request(chosen))), show, None, chosen)


def _request(chosen: dict[str, Any]) -> Any:
    from cls_bench.recurrent.agents import AGENTS
    from cls_bench.recurrent.learning import SIGNALS
    from cls_bench.recurrent.runner import RecurrentRequest

    short = chosen['short']
    return RecurrentRequest(
        lengths=tuple(sorted(set(chosen['lengths']))) or (_SHORT_LENGTHS if short else _LENGTHS),
        seeds=chosen['seeds'] or (1 if short else 3),
        episodes=400,
        late_steps=1000 if short else 6000,
        units=32,
        cost_units=(32,) if short else (32, 64),
        # `dense` learns exactly as `sparse` does.
        agents=_SHORT_AGENTS if short else tuple(name for name in AGENTS if name != 'dense'),
        signals=tuple(SIGNALS),
        jobs=job_count(chosen),
    )
