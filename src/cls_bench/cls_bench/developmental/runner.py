"""Runs the benchmark in processes of one thread each; what is finished is kept, so that a run can be stopped."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
import logging
from pathlib import Path
from typing import Any, Final

import torch

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.presets import read_preset

from ..learning.cache import BenchCache, key_of, known_digest
from ..learning.protocol import STREAMS
from ..learning.statistics import clean
from ..peer_environment import lock_file, provide_python
from ..processes import all_results
from . import lewm
from .recipes import CORRIDOR, DOT, find, FLAT, Recipe, ROOM

_log = logging.getLogger(__name__)
Metrics = Mapping[str, Any]
_DOT: Final = (
    'cls_bench.developmental.dot_walks', 'cls_bench.developmental.metrics', 'cls_learning.randomness',
    'cls_sim.worlds.toroidal_dot',
)  # fmt: skip
_BRAIN: Final = (
    'cls_bench.developmental.brain_run', 'cls_learning.brains.developmental', 'cls_learning.learners',
    'cls_learning.memory', 'cls_learning.policies', 'cls_sim.bodies', 'cls_sim.robot', 'cls_training.sensing',
    'cls_training.train_loop', 'cls_training.training',
)  # fmt: skip
_SOURCES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    (DOT, 'exact'): _DOT,
    (DOT, 'brain'): (*_DOT, *_BRAIN),
    (DOT, 'peer'): (*_DOT, 'cls_bench.developmental.lewm', 'cls_bench.developmental.lewm_run'),
    (ROOM, 'brain'): (
        *_BRAIN, 'cls_bench.developmental.room_run', 'cls_bench.learning.environment', 'cls_bench.learning.metrics',
        'cls_bench.learning.protocol', 'cls_bench.learning.scene_data', 'cls_learning.randomness', 'cls_sim.worlds',
    ),
    (CORRIDOR, 'planner'): (
        'cls_bench.developmental.corridor', 'cls_bench.developmental.corridor_walk',
        'cls_learning.brains.developmental', 'cls_learning.learners', 'cls_learning.randomness',
        'cls_sim.worlds.corridor_map',
    ),
}  # fmt: skip


@dataclass(frozen=True)
class DevelopmentalRequest:
    """What to run.

    Attributes:
        rows: worlds and recipes. seeds: how many, counted from 0. seconds: of the processor for each run on the dot.
        length: steps in each scene of the room.
        runs_peers: whether peers run; else their figures are those of an earlier run.
        jobs: processes. folder: of the cache.
    """

    rows: tuple[tuple[str, str], ...]
    seeds: int
    seconds: float
    length: int
    runs_peers: bool
    jobs: int
    folder: Path


@dataclass(frozen=True)
class DevelopmentalJob:
    """One seed of one recipe in one world; `seconds` of the dot, or `length` of the scenes of the room."""

    world: str
    recipe: str
    seed: int
    seconds: float = 0.0
    length: int = 0

    @property
    def row(self) -> Recipe:
        """What is run."""
        return find(self.world, self.recipe)

    @property
    def label(self) -> str:
        """Name for progress reports."""
        return f'{self.world} {self.recipe} seed {self.seed}'


@dataclass(frozen=True)
class DevelopmentalResults:
    """Results of a request: metrics of each job; `peers_date`: of figures of peers that were not run, or empty."""

    request: DevelopmentalRequest
    found: dict[DevelopmentalJob, Metrics]
    peers_date: str


def run(request: DevelopmentalRequest, report: Callable[[str, float], None]) -> DevelopmentalResults:
    """Runs everything that is not in the cache.

    Raises:
        UserError: an unknown world or recipe, or one that failed.
    """
    limits: dict[str, Any] = {DOT: {'seconds': request.seconds}, ROOM: {'length': request.length}, CORRIDOR: {}}
    jobs = [
        DevelopmentalJob(world, recipe, seed, **limits[world])
        for world, recipe in dict.fromkeys(map(_run_of, request.rows))
        for seed in range(request.seeds)
    ]
    python, date, kept = None, '', dict[DevelopmentalJob, Metrics]()
    if any(job.row.kind == 'peer' for job in jobs):
        python = _peers_python(request)
        if python is None:
            kept, date = _kept_figures(jobs)
            jobs = [job for job in jobs if job.row.kind != 'peer']
    cache = BenchCache(request.folder)
    found = all_results(
        jobs, lambda job: cache.read_metrics(_key(job)), partial(work, request.folder, python), request.jobs,
        lambda job, share: report(job.label, share),
    )  # fmt: skip
    return DevelopmentalResults(request, _by_planner(request, found) | kept, date)


def _run_of(row: tuple[str, str]) -> tuple[str, str]:
    """Returns the row whose run has the metrics of a row: the planners of the corridor share one."""
    return (CORRIDOR, FLAT) if row[0] == CORRIDOR else row


def _by_planner(
    request: DevelopmentalRequest, found: Mapping[DevelopmentalJob, Metrics]
) -> dict[DevelopmentalJob, Metrics]:
    """Returns the metrics of each planner of the corridor that was asked for, and of all other jobs."""
    planners = {
        DevelopmentalJob(CORRIDOR, row['recipe'], job.seed): row
        for job, metrics in found.items()
        if job.world == CORRIDOR
        for row in metrics['planners']
        if (CORRIDOR, row['recipe']) in request.rows
    }
    return {job: metrics for job, metrics in found.items() if job.world != CORRIDOR} | planners


def _peers_python(request: DevelopmentalRequest) -> Path | None:
    if not request.runs_peers:
        return None
    try:
        return provide_python(lewm.ENVIRONMENT, request.folder)
    except UserError as error:
        _log.warning('%s: figures of an earlier run of torch-world are shown', error)
        return None


def _kept_figures(jobs: list[DevelopmentalJob]) -> tuple[dict[DevelopmentalJob, Metrics], str]:
    figures = lewm.read_figures()
    asked = {(job.world, job.recipe) for job in jobs}
    found = {
        DevelopmentalJob(run['world'], run['recipe'], run['seed']): run
        for run in figures['runs']
        if (run['world'], run['recipe']) in asked
    }
    return found, figures['date'] if found else ''


def work(folder: Path, python: Path | None, job: DevelopmentalJob) -> Metrics:
    """Runs one job and caches its metrics.

    Args:
        python: of the environment of the peers.
    """
    if job.row.kind == 'exact':
        from . import metrics

        found = metrics.measures(metrics.Exact(job.recipe), job.row.walks, job.seed)
    elif job.row.kind == 'peer':
        assert python is not None
        found = lewm.run(python, job.seconds, job.seed, job.row.walks)
    elif job.world == CORRIDOR:
        from . import corridor

        found = {'planners': corridor.run(job.seed)}
    elif job.world == ROOM:
        from . import room_run

        found = room_run.run(job.row, replace(STREAMS['short'], steps=job.length), job.seed)
    else:
        from . import brain_run

        found = brain_run.run(job.row, job.seconds, job.seed)
    kept: dict[str, Any] = clean(found)
    BenchCache(folder).write_metrics(_key(job), kept)
    return kept


def _key(job: DevelopmentalJob) -> str:
    """Returns the cache key of a job: a hash of everything that its metrics depend on."""
    kind, preset = job.row.kind, job.row.preset
    versions = lock_file(lewm.ENVIRONMENT).read_text() if kind == 'peer' else torch.__version__
    values = read_preset(config_dir() / 'presets', preset, 'developmental') if preset else {}
    return key_of([asdict(job), asdict(job.row), values, versions, known_digest(_SOURCES[job.world, kind])])
