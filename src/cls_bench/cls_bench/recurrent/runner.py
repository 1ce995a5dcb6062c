"""Runs the benchmark: costs alone first, since other work would disturb them; then learning, in several processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass
import multiprocessing
import signal
from typing import Any

import torch

from . import costs, late_robot, learning
from .agents import AGENTS

# With an error at every step each step is an update: longer chains would take as long as all else together.
_LONGEST_WITH_EVERY = 16


@dataclass(frozen=True)
class RecurrentRequest:
    """What to run.

    Attributes:
        lengths: of the memory chain. seeds, episodes: of each agent at each length.
        late_steps: of the robot that answers late.
        units: of cells that learn. cost_units: of cells of which costs are measured.
        agents, signals: by name; costs are of `dense` and `sparse` too. jobs: processes.
    """

    lengths: tuple[int, ...]
    seeds: int
    episodes: int
    late_steps: int
    units: int
    cost_units: tuple[int, ...]
    agents: tuple[str, ...]
    signals: tuple[str, ...]
    jobs: int


@dataclass(frozen=True)
class RecurrentJob:
    """One agent learns one length."""

    agent: str
    signal: str
    length: int


@dataclass(frozen=True)
class LateJob:
    """One agent of `late_robot.AGENTS` learns."""

    agent: str


Job = RecurrentJob | LateJob


@dataclass(frozen=True)
class RecurrentResults:
    """Rows of `costs.measure` and `costs.measure_bptt`, and metrics by job, one entry a seed."""

    request: RecurrentRequest
    costs: list[dict[str, Any]]
    bptt: list[dict[str, Any]]
    learned: dict[RecurrentJob, list[dict[str, Any]]]
    late: dict[LateJob, list[dict[str, Any]]]


# Called with a label and the share that is done.
Report = Callable[[str, float], None]


def run(request: RecurrentRequest, report: Report) -> RecurrentResults:
    """Runs everything."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = _costs(request, report)
        tapes = [
            costs.measure_bptt(cell, units, sparsity, length)
            for units in request.cost_units
            for cell, sparsity in (('event_gru', costs.SETUPS[-1][0]), ('trace_units', 0.0))
            for length in request.lengths
        ]
    finally:
        torch.set_num_threads(threads)
    return RecurrentResults(request, measured, tapes, *_learn(request, report))


def _costs(request: RecurrentRequest, report: Report) -> list[dict[str, Any]]:
    asked = []
    for units in request.cost_units:
        for sparsity, width in costs.SETUPS:
            for name in dict.fromkeys(('dense', 'sparse', *request.agents)):
                agent = AGENTS[name]
                # SET has the costs of `sparse`; without pruning SnAp-2 is `dense`.
                is_same = agent.pruning == 'set' or (agent.reach > 1 and not sparsity)
                if not (is_same or (agent.cell == 'trace_units' and sparsity)):
                    asked.append((name, units, sparsity, width))
    found = []
    for i, each in enumerate(asked):
        report('costs', i / len(asked))
        found.append(costs.measure(*each))
    return found


def _learn(
    request: RecurrentRequest, report: Report
) -> tuple[dict[RecurrentJob, list[dict[str, Any]]], dict[LateJob, list[dict[str, Any]]]]:
    chains = [
        RecurrentJob(agent, error, length)
        for agent in request.agents
        for error in request.signals
        for length in request.lengths
        if error == 'end' or length <= _LONGEST_WITH_EVERY
    ]
    late = [LateJob(agent) for agent in late_robot.AGENTS]
    # The longest first, so that no process ends long after the others.
    jobs: list[Job] = [*late, *sorted(chains, key=lambda job: -job.length)]
    tasks = [(job, seed) for job in jobs for seed in range(request.seeds)]
    found: dict[tuple[Job, int], dict[str, Any]] = {}
    for task, metrics in _results_of(request, tasks):
        found[task] = metrics
        report('learning', len(found) / len(tasks))

    def of(job: Job) -> list[dict[str, Any]]:
        return [found[job, seed] for seed in range(request.seeds)]

    return {job: of(job) for job in chains}, {job: of(job) for job in late}


def _results_of(
    request: RecurrentRequest, tasks: list[tuple[Job, int]]
) -> Iterator[tuple[tuple[Job, int], dict[str, Any]]]:
    if request.jobs == 1:
        yield from ((task, _learn_one(request, *task)) for task in tasks)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(request.jobs, context, _begin) as pool:
        running = {pool.submit(_learn_one, request, *task): task for task in tasks}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _begin() -> None:
    # Ctrl+C reaches all processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _learn_one(request: RecurrentRequest, job: Job, seed: int) -> dict[str, Any]:
    if isinstance(job, LateJob):
        return late_robot.learn(job.agent, seed, steps=request.late_steps)
    return learning.learn(
        job.agent, job.length, seed, signal=job.signal, episodes=request.episodes, units=request.units
    )
