"""`faults`: kills the learners at random moments and checks that nothing is lost."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
import tempfile
from typing import TYPE_CHECKING

import click

from .. import options, set_options
from ..invocation import examples
from ..run_policy.robot_process import check_alone

if TYPE_CHECKING:
    from cls_bench.faults.plan import Trial
    from cls_bench.faults.result import TrialResult
    from cls_bench.faults.subject import Subject

_COLUMNS = ('trial', 'kind', 'aim', 'phase', 'before', 'after', 'lost', 'weights', 'seconds', 'verdict')


_EXAMPLES = examples(
    './cls faults --trials 50 --report faults.json',
    './cls faults --victim slow,both --seed 7',
    './cls faults --victim end                  # orderly ends instead of kills',
    './cls faults --brain NAME --robot gym:CartPole-v1 --set sim.noise_sigma=5',
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
@options.brain
@options.robot
@set_options.option
@options.report
def command(
    trials: int,
    seed: int,
    kinds: str,
    folder: Path | None,
    brain: str,
    robot: str,
    settings: tuple[str, ...],
    report: Path | None,
) -> int:
    """Kill the learners at random moments, and check that nothing is lost.

    Each trial runs a real graph in lock-step and kills it with SIGKILL while it is awake, asleep or saving. The weights
    are compared with those of an uninterrupted run in one process. The exit status is 1 if weights differ or if more
    than one second of steps is lost; after an orderly end no step may be lost. A trial takes about half a minute.
    A brain with short cycles of its own runs with these, so that it sleeps every few seconds; --set overrides them.
    """
    from cls_bench.faults.plan import make_plan, parse_kinds
    from cls_bench.faults.subject import Subject
    from cls_learning.node_settings import DEFAULT_BRAIN

    plan = make_plan(trials, seed, parse_kinds(kinds))
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='cls-faults-')))
        subject = Subject(
            folder=folder.absolute(), seed=seed, brain=brain or DEFAULT_BRAIN, robot=robot, settings=settings
        )
        check_alone('')
        folder.mkdir(parents=True, exist_ok=True)
        return _run(plan, subject, report)


def _run(plan: Sequence['Trial'], subject: 'Subject', report: Path | None) -> int:
    from cls_bench.faults.experiment import Experiment
    from cls_bench.faults.reference import ReferenceRun
    from cls_bench.faults.result import summary, write_json

    outcomes: list[TrialResult] = []
    with ReferenceRun(subject) as reference, Experiment(subject, reference) as running:
        print(_row(_COLUMNS))
        for outcome in running.run(plan):
            outcomes.append(outcome)
            print(_row(_cells(outcome)), flush=True)
            if report is not None:
                write_json(report, outcomes, seed=subject.seed, brain=subject.brain, robot=subject.robot)
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
