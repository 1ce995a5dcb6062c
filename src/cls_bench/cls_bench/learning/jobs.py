"""Jobs of a benchmark, run in a pool of processes of one thread each, with their cache."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
import multiprocessing
from pathlib import Path
import queue
import signal
import time
from typing import Any

import torch

from . import baselines
from .baselines.contract import Baseline, Task, Values
from .cache import BenchCache, key_of, known_digest, KNOWN_DIGESTS
from .environment import order, robot
from .evaluator import Evaluator, Metrics
from .protocol import StreamProtocol, TUNING_SEED
from .statistics import clean

_SOURCES = (
    'cls_bench.learning.evaluator',
    'cls_bench.learning.stream_run',
    'cls_bench.learning.metrics',
    'cls_bench.learning.network',
    'cls_bench.learning.predictor',
    'cls_bench.learning.continual',
    'cls_bench.learning.stream_data',
    'cls_bench.learning.environment',
)


@dataclass(frozen=True)
class LearningRequest:
    """What to run.

    Attributes:
        recipes, encoders: by name.
        seeds: how many, counted from 0. jobs: processes. folder: of the cache.
    """

    protocols: tuple[StreamProtocol, ...]
    recipes: tuple[str, ...]
    encoders: tuple[str, ...]
    seeds: int
    jobs: int
    folder: Path


@dataclass(frozen=True)
class LearningJob:
    """One unit of work: a scene to encode (`scene` 0 or more) or a baseline to run."""

    protocol: StreamProtocol
    encoder: str
    seed: int
    scene: int = -1
    recipe: str = ''
    share: float = 0.0
    values: Values = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name for progress reports."""
        what = self.recipe or f'scene {self.scene}'
        tuned = ' ' + ' '.join(f'{k}={v}' for k, v in self.values.items()) if self.seed == TUNING_SEED else ''
        seed = 'tuning' if self.seed == TUNING_SEED else f'seed {self.seed}'
        memory = f' {self.share:.0%}' if self.recipe else ''
        return f'{self.protocol.environment} {self.encoder} {seed} {what}{memory}{tuned}'.lstrip()


# Called with a job's label, its share done, and the share done of all jobs of the current part.
Report = Callable[[str, float, float], None]


class WorkerPool:
    """Pool of processes that run jobs and report progress through a queue."""

    def __init__(self, request: LearningRequest, report: Report) -> None:
        self._request, self._report = request, report
        context = multiprocessing.get_context('spawn')
        self._progress: Any = context.Queue()
        self._pool = ProcessPoolExecutor(request.jobs, context, _begin, (self._progress, KNOWN_DIGESTS))

    def __enter__(self) -> 'WorkerPool':
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            # Finished jobs are in the cache; running ones need not be waited for.
            for child in multiprocessing.active_children():
                child.terminate()

    def do(self, jobs: Iterable[LearningJob]) -> list[Metrics]:
        """Runs all jobs and returns their metrics in order."""
        asked = list(jobs)
        wanted = list({job.label: job for job in asked}.values())
        # Cached metrics need no process.
        found = {job.label: metrics for job in wanted if (metrics := _finished(self._request, job)) is not None}
        futures = {job.label: self._pool.submit(_work, self._request, job) for job in wanted if job.label not in found}
        waiting: set[Future[Metrics]] = set(futures.values())
        while waiting:
            for label, share in self._progress_reports():
                self._report(label, share, 1.0 - len(waiting) / len(wanted))
            done = {future for future in waiting if future.done()}
            for future in done:
                future.result()  # raises the error of a job at once
            waiting -= done
        found |= {label: future.result() for label, future in futures.items()}
        return [found[job.label] for job in asked]

    def _progress_reports(self) -> Iterator[tuple[str, float]]:
        try:
            yield self._progress.get(timeout=0.2)
            while True:
                yield self._progress.get_nowait()
        except queue.Empty:
            return


_progress: Any = None


def _begin(progress: Any, digests: dict[tuple[str, ...], str]) -> None:
    global _progress
    _progress = progress
    KNOWN_DIGESTS.update(digests)
    # Ctrl+C reaches all processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _finished(request: LearningRequest, job: LearningJob) -> Metrics | None:
    """Returns cached metrics of a job, empty for a scene; None if the job has to run."""
    cache = BenchCache(request.folder)
    if job.scene >= 0:
        return {} if cache.scene_file(job.protocol, job.seed, job.scene, job.encoder).exists() else None
    return cache.read_metrics(metrics_key(cache, job, baselines.find(job.recipe)))


def _work(request: LearningRequest, job: LearningJob) -> Metrics:
    def report(share: float) -> None:
        _progress.put((job.label, share))

    report(0.0)
    metrics: Metrics = {}
    if job.scene >= 0:
        BenchCache(request.folder).encode_scene(job.protocol, job.seed, job.scene, job.encoder, report)
    else:
        metrics = run_baseline(request, job, report)
    report(1.0)
    return metrics


def run_baseline(request: LearningRequest, job: LearningJob, report: Callable[[float], None]) -> Metrics:
    """Runs one baseline, or returns its cached metrics."""
    cache, baseline = BenchCache(request.folder), baselines.find(job.recipe)
    key = metrics_key(cache, job, baseline)
    found = cache.read_metrics(key)
    if found is None:
        evaluator = _evaluator(request.folder, job.protocol, job.seed, job.encoder)
        began = time.monotonic()
        task = Task(job.protocol, job.share, job.seed, evaluator.environment, evaluator, robot(), job.values, report)
        found = clean({**baseline.run(task), 'seconds': time.monotonic() - began})
        cache.write_metrics(key, found)
    return found


def metrics_key(cache: BenchCache, job: LearningJob, baseline: Baseline) -> str:
    """Returns the cache key of a job's metrics: a hash of everything that they depend on."""
    protocol = job.protocol
    share = job.share if baseline.uses_memory else None
    # The name of a scene's file covers all that its embeddings depend on, the encoder's source code too.
    scenes = [cache.scene_file(protocol, job.seed, number, job.encoder).stem for number in order(protocol, job.seed)]
    return key_of(
        [
            job.recipe,
            job.values,
            baseline.depends_on(protocol, job.share),
            {**asdict(protocol), 'shares': None},
            share,
            job.seed,
            job.encoder,
            cache.digest(protocol, job.seed, job.encoder),
            torch.__version__,
            scenes,
            sources_digest(baseline),
        ]
    )


def sources_digest(baseline: Baseline) -> str:
    """Returns a hash of the source code that decides a baseline's metrics."""
    return known_digest((*baseline.sources, type(baseline).__module__, *_SOURCES))


@lru_cache(maxsize=4)
def _evaluator(folder: Path, protocol: StreamProtocol, seed: int, encoder: str) -> Evaluator:
    """Caches the last environments of this process: a few dozen MB each, and loading takes longer than scoring."""
    return Evaluator(BenchCache(folder).environment(protocol, seed, encoder))
