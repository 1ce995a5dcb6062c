"""`faults`: kills the learners at random moments and checks that nothing is lost."""

from pathlib import Path
import tempfile
from typing import Any, TYPE_CHECKING

import click

from .. import options
from ..invocation import examples
from ..run_policy.robot_process import check_alone

if TYPE_CHECKING:
    from cls_bench.faults.result import TrialResult

_COLUMNS = ('trial', 'kind', 'aim', 'phase', 'before', 'after', 'lost', 'weights', 'seconds', 'verdict')


_EXAMPLES = examples(
    './cls faults --trials 50 --report faults.json',
    './cls faults --victim slow,both --seed 7',
    './cls faults --victim end                  # orderly ends instead of kills',
)


@click.command('faults', epilog=_EXAMPLES)
@click.option('--trials', default=10, show_default=True, type=click.IntRange(1), metavar='N', help='Number of trials.')
@click.option(
    '--seed',
    default=1,
    show_default=True,
    type=click.IntRange(0),
    metavar='N',
    help='Seed of everything random, the moments of the kills included.',
)
@click.option(
    '--victim',
    'kinds',
    default='slow,fast,both,graph',
    show_default=True,
    metavar='KIND,...',
    help='What is killed, in turn. With `end` nothing is killed: each graph is ended in order, on one core beside busy '
    'processes.',
)
@click.option(
    '--keep-dir',
    'folder',
    metavar='FOLDER',
    type=options.FOLDER,
    show_default='not kept',
    help='Keep the models of the trials in this folder.',
)
@options.report
def command(trials: int, seed: int, kinds: str, report: Path | None, folder: Path | None) -> int:
    """Kill the learners at random moments, and check that nothing is lost.

    Each trial runs a real graph in lock-step and kills it with SIGKILL while it is awake, asleep or saving. The weights
    are compared with those of an uninterrupted run in one process. The exit status is 1 if weights differ or if more
    than one second of steps is lost; after an orderly end no step may be lost. A trial takes about half a minute.
    """
    from cls_bench.faults.plan import make_plan, parse_kinds

    plan = make_plan(trials, seed, parse_kinds(kinds))
    check_alone('')
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _run(plan, seed, report, folder.absolute())
    with tempfile.TemporaryDirectory(prefix='cls-faults-') as temporary:
        return _run(plan, seed, report, Path(temporary))


def _run(plan: Any, seed: int, report: Path | None, folder: Path) -> int:
    from cls_bench.faults.experiment import Experiment
    from cls_bench.faults.reference import ReferenceRun
    from cls_bench.faults.result import summary, write_json

    outcomes: list[TrialResult] = []
    print(_row(_COLUMNS))
    with ReferenceRun(folder, seed) as reference, Experiment(folder, seed, reference) as running:
        for outcome in running.run(plan):
            outcomes.append(outcome)
            print(_row(_cells(outcome)), flush=True)
            if report is not None:
                write_json(report, outcomes, seed=seed)
    figures = summary(outcomes)
    passed = figures['trials'] - figures['failed']
    print(f'{passed} of {figures["trials"]} passed, {figures["most_steps_lost"]} steps lost at most')
    return 1 if figures['failed'] else 0


def _cells(outcome: 'TrialResult') -> tuple[str, ...]:
    o = outcome
    weights = {True: 'equal', False: 'other', None: '?'}[o.is_equal]
    verdict = 'ok' if o.passed else '; '.join(o.failures)
    counts = (str(o.before), str(o.after), str(o.lost))
    return (str(o.number), o.kind, o.aim, o.phase, *counts, weights, f'{o.seconds:.1f}', verdict)


def _row(cells: tuple[str, ...]) -> str:
    widths = (5, 6, 9, 9, 7, 7, 5, 8, 8)
    return ' '.join([*(cell.ljust(width) for cell, width in zip(cells, widths)), cells[-1]])
