"""`faults`: kill the learners at random moments and check that nothing they learned is lost."""

from pathlib import Path
import tempfile
from typing import Any, TYPE_CHECKING

import click

from cls_common.errors import UserError

if TYPE_CHECKING:
    from cls_bench.faults.result import TrialResult

_COLUMNS = ('trial', 'kind', 'aim', 'phase', 'before', 'after', 'lost', 'weights', 'seconds', 'verdict')


@click.command('faults')
@click.option('--trials', default=10, show_default=True, type=click.IntRange(1), help='How many kills.')
@click.option('--seed', default=1, show_default=True, type=click.IntRange(0), help='Of the moments and of the life.')
@click.option(
    '--victim',
    '--kinds',
    'kinds',
    default='slow,fast,both,graph',
    show_default=True,
    help='What is killed, in turn; `end`: nothing, each graph is ended in order, on one core beside busy processes.',
)
@click.option('--json', 'json_file', type=click.Path(path_type=Path), help='Write every outcome as JSON.')
@click.option('--folder', type=click.Path(path_type=Path), help='Keep the models here; default: thrown away.')
def command(trials: int, seed: int, kinds: str, json_file: Path | None, folder: Path | None) -> int:
    """Kill learners of a real lock-step graph with SIGKILL while they wake, sleep and save, and check what comes back.

    Weights are compared with those of a run in one process that was never interrupted. Exit status 1 if any differ,
    or if more than a second of steps is lost; after an orderly end none may be. Takes about half a minute a trial.
    """
    from cls_bench.faults.plan import make_plan, parse_kinds
    from cls_bringup.run_directory import domain, find_status

    plan = make_plan(trials, seed, parse_kinds(kinds))
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UserError(f'JSON file {json_file}', expected='an existing folder')
    if other := find_status(''):
        raise UserError(
            f'a graph runs already in ROS domain {domain()}', found=f'process {other["pid"]}',
            do='End it, or set another ROS_DOMAIN_ID.',
        )  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _run(plan, seed, json_file, folder.absolute())
    with tempfile.TemporaryDirectory(prefix='cls-faults-') as temporary:
        return _run(plan, seed, json_file, Path(temporary))


def _run(plan: Any, seed: int, json_file: Path | None, folder: Path) -> int:
    from cls_bench.faults.experiment import Experiment
    from cls_bench.faults.reference import ReferenceRun
    from cls_bench.faults.result import summary, write_json

    outcomes: list[TrialResult] = []
    print(_row(_COLUMNS))
    with ReferenceRun(folder, seed) as reference, Experiment(folder, seed, reference) as running:
        for outcome in running.run(plan):
            outcomes.append(outcome)
            print(_row(_cells(outcome)), flush=True)
            if json_file is not None:
                write_json(json_file, outcomes, seed=seed)
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
