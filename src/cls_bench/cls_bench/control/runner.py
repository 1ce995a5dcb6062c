"""Runs the benchmark in processes of one thread each; what is finished is kept, so that a run can be stopped."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
import logging
from pathlib import Path
from typing import Any

import torch

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.presets import read_preset

from ..learning.cache import BenchCache, key_of, known_digest
from ..learning.statistics import clean
from ..peer_environment import lock_file, provide_python
from ..processes import all_results
from . import agents, environments, peers

_log = logging.getLogger(__name__)
Metrics = Mapping[str, Any]
_SOURCES = {
    'brain': (
        'cls_bench.control.brain_run', 'cls_bench.control.solving', 'cls_learning.brains.spiking',
        'cls_learning.learners', 'cls_learning.neurons', 'cls_learning.operations', 'cls_learning.randomness',
        'cls_learning.world_models', 'cls_learning.rtrl', 'cls_learning.runtime', 'cls_learning.brain',
        'cls_learning.evaluation', 'cls_learning.policies',
        'cls_sim.bodies', 'cls_sim.robot', 'cls_sim.worlds', 'cls_training.evaluation', 'cls_training.sensing',
        'cls_training.train_loop', 'cls_training.training',
    ),
    'planner': (
        'cls_bench.control.planner', 'cls_bench.control.planner_run', 'cls_bench.control.solving',
        'cls_learning.learners', 'cls_learning.randomness', 'cls_sim.bodies',
        'cls_sim.robot', 'cls_sim.worlds',
    ),
    'peer': ('cls_bench.control.sb3_run', 'cls_bench.control.solving'),
}  # fmt: skip


@dataclass(frozen=True)
class ControlRequest:
    """What to run.

    Attributes:
        agents, environments: by name. seeds: how many, counted from 0.
        runs_peers: whether peers run; else their figures are those of an earlier run.
        jobs: processes. folder: of the cache.
    """

    agents: tuple[str, ...]
    environments: tuple[str, ...]
    seeds: int
    runs_peers: bool
    jobs: int
    folder: Path


@dataclass(frozen=True)
class ControlJob:
    """One seed of one agent in one environment."""

    agent: str
    environment: str
    seed: int

    @property
    def label(self) -> str:
        """Name for progress reports."""
        return f'{self.environment} {self.agent} seed {self.seed}'


@dataclass(frozen=True)
class ControlResults:
    """Results of a request: metrics of each job; `peers_date`: of figures of peers that were not run, or empty."""

    request: ControlRequest
    found: dict[ControlJob, Metrics]
    peers_date: str


def run(request: ControlRequest, report: Callable[[str, float], None]) -> ControlResults:
    """Runs everything that is not in the cache.

    Raises:
        UserError: an unknown agent, environment or world model, or one that failed.
    """
    jobs = _jobs(request)
    cache = BenchCache(request.folder)
    kept: dict[ControlJob, Metrics] = {}
    date, python = '', None
    if any(agents.find(job.agent).kind == 'peer' for job in jobs):
        python, reason = _peers_python(request)
        if python is None:
            kept, date = _kept_figures(jobs)
            jobs = [job for job in jobs if agents.find(job.agent).kind != 'peer']
            if reason:
                _log.warning('%s: peer figures of %s', reason, date)
    found = all_results(
        jobs, lambda job: cache.read_metrics(_key(job)), partial(work, request.folder, python), request.jobs,
        lambda job, share: report(job.label, share),
    )  # fmt: skip
    return ControlResults(request, kept | found, date)


def _jobs(request: ControlRequest) -> list[ControlJob]:
    for name in request.environments:
        environments.find(name)
    found = []
    for seed in range(request.seeds):
        for environment in request.environments:
            for name in request.agents:
                agent = agents.find(name)
                if seed < agent.most_seeds and _fits(agent, environment):
                    found.append(ControlJob(name, environment, seed))
    return found


def _fits(agent: agents.Agent, environment: str) -> bool:
    """Whether a peer can run here: other environments than CartPole-v1 have no settings for it."""
    return agent.kind != 'peer' or environment == 'CartPole-v1'


def _peers_python(request: ControlRequest) -> tuple[Path | None, str]:
    if not request.runs_peers:
        return None, ''
    try:
        return provide_python(peers.ENVIRONMENT, request.folder), ''
    except UserError as error:
        return None, str(error)


def _kept_figures(jobs: list[ControlJob]) -> tuple[dict[ControlJob, Metrics], str]:
    kept = peers.read_figures()
    asked = {(job.environment, job.agent) for job in jobs}
    found = {
        ControlJob(run['agent'], run['env'], run['seed']): run
        for run in kept['runs']
        if (run['env'], run['agent']) in asked
    }
    return found, kept['date']


def work(folder: Path, python: Path | None, job: ControlJob) -> Metrics:
    """Runs one job and caches its metrics.

    Args:
        python: of the environment of the peers.
    """
    agent, environment = agents.find(job.agent), environments.find(job.environment)
    if agent.kind == 'peer':
        assert python is not None
        found = peers.run(python, agent, environment, job.seed)
    elif agent.kind == 'planner':
        from . import planner_run

        found = planner_run.run(environment, job.seed)
    else:
        from . import brain_run

        found = brain_run.run(agent, environment, job.seed)
    metrics: dict[str, Any] = clean(found)
    BenchCache(folder).write_metrics(_key(job), metrics)
    return metrics


def _key(job: ControlJob) -> str:
    """Returns the cache key of a job: a hash of everything that its metrics depend on."""
    agent = agents.find(job.agent)
    versions = lock_file(peers.ENVIRONMENT).read_text() if agent.kind == 'peer' else torch.__version__
    environment = environments.find(job.environment)
    preset = read_preset(config_dir() / 'presets', environment.preset, 'spiking')
    inputs = [asdict(agent), asdict(environment), preset, job.seed, versions]
    return key_of([*inputs, known_digest(_SOURCES[agent.kind])])
