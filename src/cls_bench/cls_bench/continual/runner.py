"""Tunes and runs methods on streams; what is finished is kept, so that a run can be stopped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
import logging
from pathlib import Path
from typing import Any, Final

import torch

from cls_common.errors import UserError

from ..learning.cache import BenchCache, key_of, known_digest
from ..learning.statistics import clean
from ..peer_environment import lock_file, provide_python
from ..processes import results_of
from . import avalanche
from .digits import STREAMS
from .rows import AVALANCHE, grid, GRIDS, OURS, PAN_TILT, Values, WORLD_BENCHMARKS, WORLD_METHODS, WORLDS

_log = logging.getLogger(__name__)
Metrics = Mapping[str, Any]
Report = Callable[[str, float], None]
BENCHMARKS: Final = (*STREAMS, *WORLD_BENCHMARKS)
# Values are chosen by the mean final accuracy on these seeds, which are not among those reported.
TUNING_SEEDS: Final = (1000, 1001)
_SHARED = (
    'cls_bench.continual.digits', 'cls_bench.continual.evaluator', 'cls_bench.continual.network',
    'cls_bench.learning.metrics.matrix',
)  # fmt: skip
_WORLDS: Final = (
    'cls_bench.continual.evaluator', 'cls_bench.continual.world_streams', 'cls_bench.continual.worlds',
    'cls_bench.learning.metrics.matrix', 'cls_learning.brains.cross_modal', 'cls_learning.evaluation.change_detection',
    'cls_learning.learners', 'cls_learning.memory', 'cls_learning.penalties', 'cls_learning.randomness',
    'cls_sim.worlds.task_schedule',
)  # fmt: skip
_SOURCES: Final = {
    OURS: (
        *_SHARED, 'cls_bench.continual.methods', 'cls_bench.continual.stream_run', 'cls_learning.learners.adam',
        'cls_learning.learners.optimisation', 'cls_learning.penalties', 'cls_learning.randomness',
    ),
    AVALANCHE: (*_SHARED, 'cls_bench.continual.avalanche_run'),
    WORLDS: (*_WORLDS, 'cls_sim.worlds.task_switching'),
    PAN_TILT: (
        *_WORLDS, 'cls_perception.encoders.retina', 'cls_perception.receptive_fields', 'cls_perception.small_images',
        'cls_sim.panorama', 'cls_sim.sceneries', 'cls_sim.worlds.pan_tilt', 'cls_sim.worlds.room',
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ContinualRequest:
    """What to run.

    Attributes:
        rows: libraries and methods. benchmarks: by name. seeds: how many, counted from 0.
        runs_avalanche: whether Avalanche runs; else its figures are those of an earlier run.
        jobs: processes. folder: of the cache.
    """

    rows: tuple[tuple[str, str], ...]
    benchmarks: tuple[str, ...]
    seeds: int
    runs_avalanche: bool
    jobs: int
    folder: Path


@dataclass(frozen=True)
class Cell:
    """A method of a library on a benchmark."""

    library: str
    method: str
    benchmark: str

    @property
    def grid(self) -> tuple[Values, ...]:
        """Values to choose from."""
        return grid(self.library, self.method, self.benchmark)


# For each cell the values, and the metrics by seed.
Found = dict[Cell, tuple[Values, dict[int, Metrics]]]


@dataclass(frozen=True)
class ContinualJob:
    """One seed of a cell with one choice of its grid."""

    cell: Cell
    choice: int
    seed: int

    @property
    def values(self) -> Values:
        """What was chosen."""
        return self.cell.grid[self.choice]

    @property
    def label(self) -> str:
        """Name for progress reports."""
        return f'{self.cell.benchmark} {self.cell.library} {self.cell.method}'


@dataclass(frozen=True)
class ContinualResults:
    """Results of a request.

    Attributes:
        figures_date: of figures of Avalanche that was not run, or empty.
    """

    request: ContinualRequest
    found: Found
    figures_date: str


def run(request: ContinualRequest, report: Report) -> ContinualResults:
    """Runs everything that is not in the cache.

    Raises:
        UserError: an unknown method or benchmark, or one that failed.
    """
    cells = _cells(request)
    python, date = _python(request, cells)
    kept: Found = {}
    if python is None:
        kept, date = _figures([cell for cell in cells if cell.library == AVALANCHE])
        cells = [cell for cell in cells if cell.library == OURS]
    do = partial(_do, request, python, report)
    chosen = _choose(do, cells)
    jobs = [ContinualJob(cell, chosen[cell], seed) for cell in cells for seed in range(request.seeds)]
    found: Found = {cell: (cell.grid[chosen[cell]], {}) for cell in cells}
    for job, metrics in do(jobs).items():
        found[job.cell][1][job.seed] = metrics
    return ContinualResults(request, found | kept, date)


def _choose(
    do: Callable[[Sequence[ContinualJob]], Mapping[ContinualJob, Metrics]], cells: Sequence[Cell]
) -> dict[Cell, int]:
    """Returns the place of the best values in the grid of each cell."""
    tuned = [cell for cell in cells if len(cell.grid) > 1]
    tried = [ContinualJob(cell, k, seed) for cell in tuned for k in range(len(cell.grid)) for seed in TUNING_SEEDS]
    totals = {cell: [0.0] * len(cell.grid) for cell in cells}
    for job, metrics in do(tried).items():
        totals[job.cell][job.choice] += metrics['final']
    return {cell: values.index(max(values)) for cell, values in totals.items()}


def _cells(request: ContinualRequest) -> list[Cell]:
    for name in request.benchmarks:
        if name not in BENCHMARKS:
            raise UserError(f'unknown benchmark {name!r}', expected='one of ' + ', '.join(BENCHMARKS))
    for library, method in request.rows:
        if method not in GRIDS[library]:
            raise UserError(f'unknown method {method!r}', expected='one of ' + ', '.join(GRIDS[library]))
    return [
        Cell(library, method, name)
        for name in request.benchmarks
        for library, method in request.rows
        # Avalanche's DER does not know tasks.
        if (library, method, name) != (AVALANCHE, 'der++', 'split_digits_told')
        and (name not in WORLD_BENCHMARKS or (library == OURS and method in WORLD_METHODS))
    ]


def _python(request: ContinualRequest, cells: Sequence[Cell]) -> tuple[Path | None, str]:
    if not request.runs_avalanche or not any(cell.library == AVALANCHE for cell in cells):
        return None, ''
    try:
        return provide_python(avalanche.ENVIRONMENT, request.folder), ''
    except UserError as error:
        _log.warning('%s: figures of an earlier run of Avalanche are shown', error)
        return None, ''


def _figures(cells: Sequence[Cell]) -> tuple[Found, str]:
    figures = avalanche.read_figures()
    found: Found = {}
    for run in figures['runs']:
        cell = Cell(AVALANCHE, run['method'], run['benchmark'])
        if cell in cells:
            metrics = {name: value for name, value in run.items() if name not in ('method', 'benchmark', 'values')}
            found.setdefault(cell, (run['values'], {}))[1][run['seed']] = metrics
    return found, figures['date'] if cells else ''


def _do(
    request: ContinualRequest, python: Path | None, report: Report, jobs: Sequence[ContinualJob]
) -> dict[ContinualJob, Metrics]:
    """Returns the metrics of each job in the order of `jobs`, from the cache or by running it."""
    cache = BenchCache(request.folder)
    cached = {job: cache.read_metrics(_key(job)) for job in jobs}
    found: dict[ContinualJob, Metrics] = {job: metrics for job, metrics in cached.items() if metrics is not None}
    missing = [job for job in jobs if job not in found]
    runs = results_of([job for job in missing if job.cell.library == OURS], partial(work, request.folder), request.jobs)
    for done in (runs, _run_avalanche(cache, python, [job for job in missing if job.cell.library == AVALANCHE])):
        for job, metrics in done:
            found[job] = metrics
            report(job.label, len(found) / len(jobs))
    return {job: found[job] for job in jobs}


def _run_avalanche(
    cache: BenchCache, python: Path | None, jobs: Sequence[ContinualJob]
) -> Iterator[tuple[ContinualJob, Metrics]]:
    if not jobs:
        return
    assert python is not None
    asked = [
        {'method': job.cell.method, 'benchmark': job.cell.benchmark, 'values': job.values, 'seed': job.seed}
        for job in jobs
    ]
    for place, metrics in avalanche.run(python, asked):
        kept = clean(metrics)
        cache.write_metrics(_key(jobs[place]), kept)
        yield jobs[place], kept


def work(folder: Path, job: ContinualJob) -> Metrics:
    """Runs one job of ours and caches its metrics."""
    from . import stream_run, worlds
    from .methods import METHODS

    if job.cell.benchmark in WORLD_BENCHMARKS:
        found = worlds.run(job.cell.method, job.seed, world=job.cell.benchmark, rate=job.values['rate'])
    else:
        stream = STREAMS[job.cell.benchmark](job.seed)
        found = stream_run.run(METHODS[job.cell.method], stream, job.values, job.seed)
    metrics: Metrics = clean(found)
    BenchCache(folder).write_metrics(_key(job), dict(metrics))
    return metrics


def _key(job: ContinualJob) -> str:
    """Returns the cache key of a job: a hash of everything that its metrics depend on."""
    library = job.cell.library
    sources = job.cell.benchmark if job.cell.benchmark in WORLD_BENCHMARKS else library
    versions = lock_file(avalanche.ENVIRONMENT).read_text() if library == AVALANCHE else torch.__version__
    return key_of([asdict(job.cell), job.values, job.seed, versions, known_digest(_SOURCES[sources])])
