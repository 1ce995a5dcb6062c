"""Does the work: encodes the worlds, then every explorer walks through each of them; each process on one thread."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
import multiprocessing
from pathlib import Path
import signal

import torch

from ..learning.statistics import clean
from ..learning.store import key_of, KNOWN_PROGRAMS, program_digest, Store
from . import explorers, views
from .walk import Figures
from .walk import run as run_walk
from .worlds import World, WORLDS

_SOURCES = (
    'cls_bench.curiosity.explorers', 'cls_bench.curiosity.views', 'cls_bench.curiosity.walk',
    'cls_bench.curiosity.worlds', 'cls_bench.learning.metrics.skill', 'cls_bench.learning.network',
    'cls_learning.learners', 'cls_learning.memory.recent', 'cls_learning.policies', 'cls_learning.randomness',
    'cls_learning.rewards', 'cls_learning.brains.cls.online_learner', 'cls_learning.world_models',
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        rewards, worlds, encoders: by name.
        starts: walks of each reward in each world. seeds: scenes among which they are dealt.
        steps: of a walk at most; 0: as long as each world says.
        jobs: processes. folder: where caches lie.
    """

    rewards: tuple[str, ...]
    worlds: tuple[str, ...]
    encoders: tuple[str, ...]
    starts: int
    seeds: int
    steps: int
    jobs: int
    folder: Path

    def world(self, name: str) -> World:
        """Returns a world with the steps that were asked for."""
        world = WORLDS[name]
        return replace(world, steps=min(self.steps or world.steps, world.steps))


@dataclass(frozen=True)
class Job:
    """A scene to encode (`reward` empty, `number` its seed), or a walk."""

    encoder: str
    world: str
    number: int
    reward: str = ''

    @property
    def label(self) -> str:
        """Returns what people call it."""
        what = f'{self.reward}, start {self.number}' if self.reward else f'views of scene {self.number}'
        return f'{self.encoder} {self.world}: {what}'


@dataclass(frozen=True)
class Line:
    """One reward in one world: figures by start."""

    encoder: str
    world: str
    reward: str
    figures: list[Figures]


@dataclass(frozen=True)
class Results:
    """Everything that was measured."""

    request: Request
    lines: list[Line]


# Called with a label, and the share of that part of the work that is done.
Report = Callable[[str, float], None]


def run(request: Request, report: Report) -> Results:
    """Does everything that is not in the caches yet.

    Raises:
        UserError: an unknown reward or encoder.
    """
    for reward in request.rewards:
        explorers.check(reward)
    for encoder in request.encoders:
        views.check_eyes(encoder)
        views.file_of(request.folder, WORLDS['room'], 0, encoder)
    program_digest(_SOURCES)
    seeds = range(min(request.seeds, request.starts))
    scenes = {
        views.file_of(request.folder, request.world(world), seed, encoder): Job(encoder, world, seed)
        for encoder in request.encoders for world in request.worlds for seed in seeds
    }  # fmt: skip
    _do(request, 'views', scenes.values(), report)
    # Walks through one scene follow each other, so that its views are read once.
    walks = [
        Job(encoder, world, number, reward)
        for encoder in request.encoders for world in request.worlds for seed in seeds
        for number in range(seed, request.starts, request.seeds) for reward in request.rewards
    ]  # fmt: skip
    found = _do(request, 'walks', walks, report)
    lines = [
        Line(encoder, world, reward, [found[Job(encoder, world, n, reward)] for n in range(request.starts)])
        for encoder in request.encoders for world in request.worlds for reward in request.rewards
    ]  # fmt: skip
    return Results(request, lines)


def _do(request: Request, part: str, jobs: Iterable[Job], report: Report) -> dict[Job, Figures]:
    """Does all jobs; what an earlier run has finished needs no process."""
    wanted = list(jobs)
    found = {job: figures for job in wanted if (figures := _finished(request, job)) is not None}
    missing = [job for job in wanted if job not in found]
    for job, figures in _worked(request, missing):
        found[job] = figures
        report(f'{part}: {job.label}', len(found) / len(wanted))
    return found


def _worked(request: Request, jobs: list[Job]) -> Iterator[tuple[Job, Figures]]:
    if not jobs:
        return
    if request.jobs == 1:
        torch.set_num_threads(1)
        yield from ((job, work(request, job)) for job in jobs)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(request.jobs, context, _begin, (KNOWN_PROGRAMS,)) as pool:
        futures = {pool.submit(work, request, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            # What a stopped run has finished lies in the cache; the rest is not worth waiting for.
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _begin(programs: dict[tuple[str, ...], str]) -> None:
    KNOWN_PROGRAMS.update(programs)
    # Only the parent decides about an interruption.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _finished(request: Request, job: Job) -> Figures | None:
    if not job.reward:
        return {} if views.file_of(request.folder, request.world(job.world), job.number, job.encoder).exists() else None
    return Store(request.folder).read_row(_key(request, job))


def work(request: Request, job: Job) -> Figures:
    """Does one job and keeps what came of it; of a scene there are no figures."""
    world = request.world(job.world)
    if not job.reward:
        views.encode(request.folder, world, job.number, job.encoder)
        return {}
    scene = job.number % request.seeds
    seen = views.load(views.file_of(request.folder, world, scene, job.encoder))
    figures: Figures = clean(run_walk(job.reward, world, seen, scene, job.number))
    Store(request.folder).write_row(_key(request, job), figures)
    return figures


def _key(request: Request, job: Job) -> str:
    """Returns the key of a walk's figures: of everything that they depend on."""
    world, scene = request.world(job.world), job.number % request.seeds
    return key_of([
        asdict(world), job.reward, explorers.settings_of(job.reward).to_flat(), job.number, scene,
        views.file_of(Path(), world, scene, job.encoder).name, torch.__version__, program_digest(_SOURCES),
    ])  # fmt: skip
