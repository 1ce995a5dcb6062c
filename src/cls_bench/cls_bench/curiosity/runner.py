"""Runs the benchmark in processes of one thread each: encodes environments, then runs every explorer in each."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ..learning.cache import BenchCache, key_of, known_digest
from ..learning.statistics import clean
from ..processes import all_results
from . import explorers, views
from .environments import ENVIRONMENTS, GridEnvironment
from .walk import Metrics
from .walk import run as run_walk

_SOURCES = (
    'cls_bench.curiosity.explorers',
    'cls_bench.curiosity.views',
    'cls_bench.curiosity.walk',
    'cls_bench.curiosity.environments',
    'cls_bench.learning.metrics.skill',
    'cls_bench.learning.network',
    'cls_learning.learners',
    'cls_learning.memory.ring_reservoir',
    'cls_learning.policies',
    'cls_learning.randomness',
    'cls_learning.rewards',
    'cls_learning.brains.cls.online_learner',
    'cls_learning.world_models',
)


@dataclass(frozen=True)
class ExplorationRequest:
    """What to run.

    Attributes:
        rewards, environments, encoders: by name.
        starts: walks of each reward in each environment. seeds: scenes over which they are distributed.
        steps: longest walk; 0: as long as each environment defines.
        jobs: processes. folder: of the cache.
    """

    rewards: tuple[str, ...]
    environments: tuple[str, ...]
    encoders: tuple[str, ...]
    starts: int
    seeds: int
    steps: int
    jobs: int
    folder: Path

    def environment(self, name: str) -> GridEnvironment:
        """Returns an environment with the requested number of steps."""
        environment = ENVIRONMENTS[name]
        return replace(environment, steps=min(self.steps or environment.steps, environment.steps))


@dataclass(frozen=True)
class ExplorationJob:
    """A scene to encode (`reward` empty, `number` its seed), or a walk."""

    encoder: str
    environment: str
    number: int
    reward: str = ''

    @property
    def label(self) -> str:
        """Name for progress reports."""
        what = f'{self.reward}, start {self.number}' if self.reward else f'views of scene {self.number}'
        return f'{self.encoder} {self.environment}: {what}'


@dataclass(frozen=True)
class ExplorerResult:
    """One reward in one environment: metrics by start."""

    encoder: str
    environment: str
    reward: str
    metrics: list[Metrics]


@dataclass(frozen=True)
class ExplorationResults:
    """Results of a request."""

    request: ExplorationRequest
    results: list[ExplorerResult]


# Called with a label, and the share done of the jobs of the current part.
Report = Callable[[str, float], None]


def run(request: ExplorationRequest, report: Report) -> ExplorationResults:
    """Runs everything that is not in the cache.

    Raises:
        UserError: an unknown reward or encoder.
    """
    for reward in request.rewards:
        explorers.check(reward)
    for encoder in request.encoders:
        views.check_view_encoder(encoder)
        views.file_of(request.folder, ENVIRONMENTS['room'], 0, encoder)
    known_digest(_SOURCES)
    seeds = range(min(request.seeds, request.starts))
    scenes = {
        views.file_of(request.folder, request.environment(environment), seed, encoder): ExplorationJob(
            encoder, environment, seed
        )
        for encoder in request.encoders
        for environment in request.environments
        for seed in seeds
    }
    _run_jobs(request, 'views', scenes.values(), report)
    # Grouped by scene, so that its views are loaded once.
    walks = [
        ExplorationJob(encoder, environment, number, reward)
        for encoder in request.encoders
        for environment in request.environments
        for seed in seeds
        for number in range(seed, request.starts, request.seeds)
        for reward in request.rewards
    ]
    found = _run_jobs(request, 'walks', walks, report)
    results = [
        ExplorerResult(
            encoder,
            environment,
            reward,
            [found[ExplorationJob(encoder, environment, n, reward)] for n in range(request.starts)],
        )
        for encoder in request.encoders
        for environment in request.environments
        for reward in request.rewards
    ]
    return ExplorationResults(request, results)


def _run_jobs(
    request: ExplorationRequest, part: str, jobs: Iterable[ExplorationJob], report: Report
) -> dict[ExplorationJob, Metrics]:
    """Runs all jobs that are not cached and returns their metrics."""
    return all_results(
        list(jobs), partial(_finished, request), partial(work, request), request.jobs,
        lambda job, share: report(f'{part}: {job.label}', share),
    )  # fmt: skip


def _finished(request: ExplorationRequest, job: ExplorationJob) -> Metrics | None:
    if not job.reward:
        return (
            {}
            if views.file_of(request.folder, request.environment(job.environment), job.number, job.encoder).exists()
            else None
        )
    return BenchCache(request.folder).read_metrics(_key(request, job))


def work(request: ExplorationRequest, job: ExplorationJob) -> Metrics:
    """Runs one job and caches its metrics, which are empty for a scene."""
    environment = request.environment(job.environment)
    if not job.reward:
        views.encode(request.folder, environment, job.number, job.encoder)
        return {}
    scene = job.number % request.seeds
    seen = views.load(views.file_of(request.folder, environment, scene, job.encoder))
    metrics: Metrics = clean(run_walk(job.reward, environment, seen, scene, job.number))
    BenchCache(request.folder).write_metrics(_key(request, job), metrics)
    return metrics


def _key(request: ExplorationRequest, job: ExplorationJob) -> str:
    """Returns the cache key of a walk's metrics: a hash of everything that they depend on."""
    environment, scene = request.environment(job.environment), job.number % request.seeds
    return key_of(
        [
            asdict(environment),
            job.reward,
            explorers.settings_of(job.reward).to_flat(),
            job.number,
            scene,
            views.file_of(Path(), environment, scene, job.encoder).name,
            torch.__version__,
            known_digest(_SOURCES),
        ]
    )
