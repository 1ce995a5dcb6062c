"""Avalanche: its runs, all in one process of an environment of its own, and the figures of an earlier run."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
import json
from pathlib import Path
from typing import Any, Final

from cls_common import atomic_file
from cls_learning.randomness import derive

from ..peer_environment import lines_of
from .rows import AVALANCHE

ENVIRONMENT: Final = 'avalanche'
FIGURES: Final = Path(__file__).with_name('avalanche_figures.json')
# Of a run, in the file of figures.
_NAMES = ('method', 'benchmark', 'seed', 'values')
_PLACES = 4
Metrics = Mapping[str, Any]


def run(python: Path, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Metrics]]:
    """Runs jobs in one process; yields the place of each in the list, and its metrics, as they are done.

    Args:
        jobs: method, benchmark, values and seed.

    Raises:
        UserError: it failed.
    """
    given = [
        {**job, 'key': place, 'network_seed': derive(job['seed'], 'continual.network')}
        for place, job in enumerate(jobs)
    ]
    command = [python, '-W', 'ignore', '-m', 'cls_bench.continual.avalanche_run']
    for line in lines_of(command, json.dumps(given)):
        if line.startswith('{"key"'):
            answer = json.loads(line)
            yield answer['key'], answer['metrics']


def read_figures() -> dict[str, Any]:
    """Returns the figures of an earlier run: `date`, and `runs`, one for each method, benchmark and seed."""
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding='utf-8'))
    return found


def write_figures(runs: Sequence[dict[str, Any]]) -> None:
    """Replaces the figures by those of a run of today: single numbers alone, in four places."""
    kept = [
        {
            name: round(value, _PLACES) if isinstance(value, float) else value
            for name, value in run.items()
            if name in _NAMES or isinstance(value, (int, float))
        }
        for run in runs
        if run['library'] == AVALANCHE
    ]
    atomic_file.write_json(FIGURES, {'date': date.today().isoformat(), 'runs': kept})
