"""Does the work: encodes, chooses values in the tuning world, lives the rows; each process on one thread."""

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

from . import rows
from .judge import Figures, Judge
from .plan import Plan, TUNING_SEED
from .rows.contract import Row, Task, Values
from .statistics import clean
from .store import check_encoder, key_of, KNOWN_PROGRAMS, program_digest, Store
from .world import order, robot
from .worlds import tuning_plan

_SOURCES = (
    'cls_bench.learning.judge', 'cls_bench.learning.living', 'cls_bench.learning.metrics', 'cls_bench.learning.network',
    'cls_bench.learning.predictor', 'cls_bench.learning.sequential', 'cls_bench.learning.stream',
    'cls_bench.learning.world',
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What was asked for: lives, rows and encoders by name, seeds counted from 0, processes, and where caches lie."""

    plans: tuple[Plan, ...]
    recipes: tuple[str, ...]
    encoders: tuple[str, ...]
    seeds: int
    jobs: int
    folder: Path


@dataclass(frozen=True)
class Job:
    """One unit of work: a scene to encode (`scene` 0 or more) or a row to live."""

    plan: Plan
    encoder: str
    seed: int
    scene: int = -1
    recipe: str = ''
    share: float = 0.0
    values: Values = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Returns what people call it."""
        what = self.recipe or f'scene {self.scene}'
        tuned = ' ' + ' '.join(f'{k}={v}' for k, v in self.values.items()) if self.seed == TUNING_SEED else ''
        seed = 'tuning' if self.seed == TUNING_SEED else f'seed {self.seed}'
        kept = f' {self.share:.0%}' if self.recipe else ''
        return f'{self.plan.world} {self.encoder} {seed} {what}{kept}{tuned}'.lstrip()


@dataclass(frozen=True)
class Line:
    """One row with one encoder and share: figures by seed and the values that it ran with."""

    recipe: str
    encoder: str
    share: float | None
    values: Values
    figures: list[Figures]


@dataclass(frozen=True)
class Results:
    """What was measured in one life; `worlds` by encoder: hash, and figures of the world itself by seed."""

    plan: Plan
    seeds: int
    lines: list[Line]
    worlds: dict[str, tuple[str, list[Figures]]]


# Called with a job's label, the share of it done, and the share of the present part of the work done.
Report = Callable[[str, float, float], None]


# A row, by name, in one life with one encoder and share of transitions kept.
Cell = tuple[Plan, str, str, float]


def run(request: Request, report: Report) -> list[Results]:
    """Does everything that is not in the caches yet; returns the results of each life.

    Raises:
        UserError: an unknown recipe or encoder.
    """
    chosen = {name: rows.find(name) for name in dict.fromkeys(request.recipes)}
    tunes = any(len(row.grid) > 1 for row in chosen.values())
    for encoder in request.encoders:
        check_encoder(encoder)
        Store(request.folder).scene_file(request.plans[0], 0, 0, encoder)
    for row in chosen.values():
        _programs(row)
    seeds = [(plan, seed) for plan in request.plans for seed in range(request.seeds)]
    seeds += [(tuning_plan(plan), TUNING_SEED) for plan in request.plans if tunes]
    with _Workers(request, report) as workers:
        workers.do(
            Job(plan, encoder, seed, scene=scene)
            for encoder in request.encoders for plan, seed in seeds for scene in order(plan, seed)
        )  # fmt: skip
        cells: list[Cell] = [
            (plan, name, encoder, share) for plan in request.plans for encoder in request.encoders
            for name, row in chosen.items() for share in (plan.shares if row.uses_memory else plan.shares[:1])
        ]  # fmt: skip
        values = _tune(workers, chosen, cells)
        jobs = {(cell, seed): _job(cell, seed, values[cell]) for seed in range(request.seeds) for cell in cells}
        found = dict(zip(jobs, workers.do(jobs.values())))

    def line(cell: Cell) -> Line:
        _, name, encoder, share = cell
        figures = [found[cell, seed] for seed in range(request.seeds)]
        return Line(name, encoder, share if chosen[name].uses_memory else None, values[cell], figures)

    return [
        Results(plan, request.seeds, [line(cell) for cell in cells if cell[0] == plan],
                {encoder: _worlds(request, plan, encoder) for encoder in request.encoders})
        for plan in request.plans
    ]  # fmt: skip


def _job(cell: Cell, seed: int, values: Values) -> Job:
    plan, name, encoder, share = cell
    return Job(plan, encoder, seed, recipe=name, share=share, values=values)


def _tune(workers: '_Workers', chosen: dict[str, Row], cells: list[Cell]) -> dict[Cell, Values]:
    """Returns the best values for each row, encoder and share, by skill in the tuning world."""
    tuned = {cell: (tuning_plan(cell[0]), *cell[1:]) for cell in cells}
    tried = [
        (cell, values) for cell in dict.fromkeys(tuned.values())
        for values in chosen[cell[1]].grid if len(chosen[cell[1]].grid) > 1
    ]  # fmt: skip
    best: dict[Cell, tuple[float, Values]] = {}
    for (cell, values), figures in zip(tried, workers.do(_job(cell, TUNING_SEED, values) for cell, values in tried)):
        skill = float('-inf') if figures['skill'] is None else figures['skill']
        if cell not in best or skill > best[cell][0]:
            best[cell] = (skill, values)
    return {cell: best[at][1] if (at := tuned[cell]) in best else chosen[cell[1]].grid[0] for cell in cells}


def _worlds(request: Request, plan: Plan, encoder: str) -> tuple[str, list[Figures]]:
    store, found, digests = Store(request.folder), [], []
    for seed in range(request.seeds):
        world = store.world(plan, seed, encoder)
        digests.append(world.digest)
        found.append(clean(Judge(world).of_world()))
    return key_of(digests)[:16], found


class _Workers:
    """Processes that work jobs off, and what they tell meanwhile."""

    def __init__(self, request: Request, report: Report) -> None:
        self._request, self._report = request, report
        context = multiprocessing.get_context('spawn')
        self._told: Any = context.Queue()
        self._pool = ProcessPoolExecutor(request.jobs, context, _begin, (self._told, KNOWN_PROGRAMS))

    def __enter__(self) -> '_Workers':
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            # What a stopped run has finished lies in the cache; the rest is not worth waiting for.
            for child in multiprocessing.active_children():
                child.terminate()

    def do(self, jobs: Iterable[Job]) -> list[Figures]:
        """Does all jobs and returns their figures in order."""
        asked = list(jobs)
        wanted = list({job.label: job for job in asked}.values())
        # What an earlier run has finished needs no process.
        found = {job.label: figures for job in wanted if (figures := _finished(self._request, job)) is not None}
        futures = {job.label: self._pool.submit(_work, self._request, job) for job in wanted if job.label not in found}
        waiting: set[Future[Figures]] = set(futures.values())
        while waiting:
            for label, share in self._tell():
                self._report(label, share, 1.0 - len(waiting) / len(wanted))
            done = {future for future in waiting if future.done()}
            for future in done:
                future.result()  # raises what went wrong, at once
            waiting -= done
        found |= {label: future.result() for label, future in futures.items()}
        return [found[job.label] for job in asked]

    def _tell(self) -> Iterator[tuple[str, float]]:
        try:
            yield self._told.get(timeout=0.2)
            while True:
                yield self._told.get_nowait()
        except queue.Empty:
            return


_told: Any = None


def _begin(told: Any, programs: dict[tuple[str, ...], str]) -> None:
    global _told
    _told = told
    KNOWN_PROGRAMS.update(programs)
    # Only the parent decides about an interruption.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _finished(request: Request, job: Job) -> Figures | None:
    """Returns what an earlier run left of a job, nothing in it for a scene; None where it is to be done."""
    store = Store(request.folder)
    if job.scene >= 0:
        return {} if store.scene_file(job.plan, job.seed, job.scene, job.encoder).exists() else None
    return store.read_row(row_key(store, job, rows.find(job.recipe)))


def _work(request: Request, job: Job) -> Figures:
    def report(share: float) -> None:
        _told.put((job.label, share))

    report(0.0)
    figures: Figures = {}
    if job.scene >= 0:
        Store(request.folder).encode_scene(job.plan, job.seed, job.scene, job.encoder, report)
    else:
        figures = lived(request, job, report)
    report(1.0)
    return figures


def lived(request: Request, job: Job, report: Callable[[float], None]) -> Figures:
    """Lives one row, or returns what it came to before."""
    store, row = Store(request.folder), rows.find(job.recipe)
    key = row_key(store, job, row)
    found = store.read_row(key)
    if found is None:
        judge = _judge(request.folder, job.plan, job.seed, job.encoder)
        began = time.monotonic()
        task = Task(job.plan, job.share, job.seed, judge.world, judge, robot(), job.values, report)
        found = clean({**row.run(task), 'seconds': time.monotonic() - began})
        store.write_row(key, found)
    return found


def row_key(store: Store, job: Job, row: Row) -> str:
    """Returns the key of a row's figures: of everything that they depend on."""
    plan = job.plan
    share = job.share if row.uses_memory else None
    # By name, a scene's file tells all that its embeddings depend on: the program of the eyes too.
    scenes = [store.scene_file(plan, job.seed, number, job.encoder).stem for number in order(plan, job.seed)]
    return key_of([
        job.recipe, job.values, row.depends_on(plan, job.share), {**asdict(plan), 'shares': None}, share, job.seed,
        job.encoder, store.digest(plan, job.seed, job.encoder), torch.__version__,
        scenes, _programs(row),
    ])  # fmt: skip


def _programs(row: Row) -> str:
    return program_digest((*row.sources, type(row).__module__, *_SOURCES))


@lru_cache(maxsize=4)
def _judge(folder: Path, plan: Plan, seed: int, encoder: str) -> Judge:
    """Keeps the last worlds of this process: a few dozen MB each, and loading one takes longer than scoring it."""
    return Judge(Store(folder).world(plan, seed, encoder))
