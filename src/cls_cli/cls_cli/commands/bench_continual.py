"""`bench continual`: tasks learned one after another, by our methods and by those of Avalanche."""

from typing import Any

import click

from ..invocation import examples
from ..layers import require
from .bench_report import deliver, job_count, names, peers, run_shown, seeds, shared_options

_SHORT = ('none', 'ewc_exact', 'der++', 'sleep')
_EXAMPLES = examples(
    './cls bench continual --short',
    './cls bench continual --method sleep --benchmark permuted_digits --seeds 3',
)


@click.command('continual', epilog=_EXAMPLES)
@names(
    '--method',
    'methods',
    f'all; with --short {", ".join(_SHORT)}',
    'Method: none, ewc_exact, ewc_sampled, ewc_empirical, ewc_batched, ewc_online, si, mas, lwf, agem, replay, '
    'er_ace, der++, cls_er, sleep or joint, ours and that of Avalanche where each has it.',
)
@names(
    '--benchmark',
    'benchmarks',
    'all; with --short, those of digits',
    'Benchmark: permuted_digits, split_digits, split_digits_told, cross_modal or pan_tilt.',
)
@seeds(5, 1)
@peers('avalanche', 'runs_avalanche', 'Avalanche')
@click.option('--short', is_flag=True, help=f'Use {", ".join(_SHORT)}, and 1 seed, and do not run Avalanche.')
@shared_options
def command(**chosen: Any) -> int:
    """Measure accuracy and forgetting of tasks learned in turn.

    Finished runs are cached; a run that was stopped continues.
    """
    require('bench')
    from cls_bench.continual import avalanche
    from cls_bench.continual.plots import draw
    from cls_bench.continual.report import document
    from cls_bench.continual.runner import run
    from cls_bench.continual.table import show

    request = _request(chosen)
    results = run_shown(run, request)
    report = document(results)
    if chosen['keeps_peers'] and request.runs_avalanche and not results.figures_date:
        avalanche.write_figures(report['runs'])
    return deliver(report, show, draw, chosen)


def _request(chosen: dict[str, Any]) -> Any:
    from cls_bench.continual.digits import STREAMS
    from cls_bench.continual.rows import rows
    from cls_bench.continual.runner import BENCHMARKS, ContinualRequest

    short, runs_avalanche = chosen['short'], chosen['runs_avalanche']
    return ContinualRequest(
        rows=rows(tuple(dict.fromkeys(chosen['methods'])), _SHORT if short else ()),
        benchmarks=tuple(dict.fromkeys(chosen['benchmarks'])) or (tuple(STREAMS) if short else BENCHMARKS),
        seeds=chosen['seeds'] or (1 if short else 5),
        runs_avalanche=not short if runs_avalanche is None else runs_avalanche,
        jobs=job_count(chosen),
        folder=chosen['cache_dir'],
    )
