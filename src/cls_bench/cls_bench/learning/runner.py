"""Runs a benchmark: encodes scenes, tunes values, runs every baseline."""

from dataclasses import dataclass

from . import baselines
from .baselines.contract import Baseline, Values
from .cache import BenchCache, check_encoder, key_of
from .environment import order
from .evaluator import Evaluator, Metrics
from .jobs import LearningJob, LearningRequest, Report, sources_digest, WorkerPool
from .named_environments import tuning_protocol
from .protocol import StreamProtocol, TUNING_SEED
from .statistics import clean


@dataclass(frozen=True)
class BaselineResult:
    """One baseline with one encoder and share: metrics by seed, and the tuned values."""

    recipe: str
    encoder: str
    share: float | None
    values: Values
    metrics: list[Metrics]


@dataclass(frozen=True)
class StreamResults:
    """Results of one protocol; `environments` by encoder: hash, and metrics of the environment by seed."""

    protocol: StreamProtocol
    seeds: int
    results: list[BaselineResult]
    environments: dict[str, tuple[str, list[Metrics]]]


# Protocol, baseline, encoder, and share of transitions kept.
Cell = tuple[StreamProtocol, str, str, float]


def run(request: LearningRequest, report: Report) -> list[StreamResults]:
    """Runs everything that is not in the cache; returns the results of each protocol.

    Raises:
        UserError: an unknown recipe or encoder.
    """
    chosen = {name: baselines.find(name) for name in dict.fromkeys(request.recipes)}
    tunes = any(len(baseline.grid) > 1 for baseline in chosen.values())
    for encoder in request.encoders:
        check_encoder(encoder)
        BenchCache(request.folder).scene_file(request.protocols[0], 0, 0, encoder)
    for baseline in chosen.values():
        sources_digest(baseline)
    seeds = [(protocol, seed) for protocol in request.protocols for seed in range(request.seeds)]
    seeds += [(tuning_protocol(protocol), TUNING_SEED) for protocol in request.protocols if tunes]
    with WorkerPool(request, report) as workers:
        workers.do(
            LearningJob(protocol, encoder, seed, scene=scene)
            for encoder in request.encoders
            for protocol, seed in seeds
            for scene in order(protocol, seed)
        )
        cells: list[Cell] = [
            (protocol, name, encoder, share)
            for protocol in request.protocols
            for encoder in request.encoders
            for name, baseline in chosen.items()
            for share in (protocol.shares if baseline.uses_memory else protocol.shares[:1])
        ]
        values = _tune(workers, chosen, cells)
        jobs = {(cell, seed): _job(cell, seed, values[cell]) for seed in range(request.seeds) for cell in cells}
        found = dict(zip(jobs, workers.do(jobs.values())))

    def result(cell: Cell) -> BaselineResult:
        _, name, encoder, share = cell
        metrics = [found[cell, seed] for seed in range(request.seeds)]
        return BaselineResult(name, encoder, share if chosen[name].uses_memory else None, values[cell], metrics)

    return [
        StreamResults(
            protocol,
            request.seeds,
            [result(cell) for cell in cells if cell[0] == protocol],
            {encoder: _environments(request, protocol, encoder) for encoder in request.encoders},
        )
        for protocol in request.protocols
    ]


def _job(cell: Cell, seed: int, values: Values) -> LearningJob:
    protocol, name, encoder, share = cell
    return LearningJob(protocol, encoder, seed, recipe=name, share=share, values=values)


def _tune(workers: WorkerPool, chosen: dict[str, Baseline], cells: list[Cell]) -> dict[Cell, Values]:
    """Returns the best values for each cell, by skill in the tuning environment."""
    tuned = {cell: (tuning_protocol(cell[0]), *cell[1:]) for cell in cells}
    tried = [
        (cell, values)
        for cell in dict.fromkeys(tuned.values())
        for values in chosen[cell[1]].grid
        if len(chosen[cell[1]].grid) > 1
    ]
    best: dict[Cell, tuple[float, Values]] = {}
    for (cell, values), metrics in zip(tried, workers.do(_job(cell, TUNING_SEED, values) for cell, values in tried)):
        skill = float('-inf') if metrics['skill'] is None else metrics['skill']
        if cell not in best or skill > best[cell][0]:
            best[cell] = (skill, values)
    return {cell: best[at][1] if (at := tuned[cell]) in best else chosen[cell[1]].grid[0] for cell in cells}


def _environments(request: LearningRequest, protocol: StreamProtocol, encoder: str) -> tuple[str, list[Metrics]]:
    cache, found, digests = BenchCache(request.folder), [], []
    for seed in range(request.seeds):
        environment = cache.environment(protocol, seed, encoder)
        digests.append(environment.digest)
        found.append(clean(Evaluator(environment).environment_metrics()))
    return key_of(digests)[:16], found
