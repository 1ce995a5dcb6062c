"""The learners on a simulated robot while slow_learner is stopped, as on a busy machine.

No experience is lost at an orderly end; acting waits for slow_learner; a save has one answer; a sleep keeps its lease.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import threading
import time
from typing import Any

import pytest
import yaml

from cls_bench.faults.reference import inspect
from cls_bringup.graph import describe, GraphOptions
from cls_bringup.run_directory import RunDirectory
from cls_bringup.supervision.commands import node_command
from cls_bringup.supervision.supervisor import Supervisor
from cls_common.errors import UserError
from cls_learning.brain import find

pytestmark = pytest.mark.timeout(300)  # four processes load PyTorch, slow on two busy cores
NAMESPACE, MAX_BEHIND = 'orderly', 40
# Not reached in these runs; a test that needs a sleep requests it.
CYCLE = 5000


class Graph:
    """A running graph: its supervisor, a client of it, and its model."""

    def __init__(self, supervisor: Supervisor, observer: Any, models: Path) -> None:
        self.supervisor, self.observer, self.models = supervisor, observer, models

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 90.0) -> None:
        """Waits until a condition holds, checked at each experience and at least five times a second."""
        deadline = time.monotonic() + timeout
        while not self.observer.wait(condition, 0.2):
            assert time.monotonic() < deadline, f'{what}: {self.observer.client.statuses()}'

    def pid(self, name: str) -> int:
        return next(state.pid for state in self.supervisor.states() if state.name == name)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Stops a process as a busy machine does, until the block ends."""
        os.kill(self.pid(name), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid(name), signal.SIGCONT)

    def log(self, name: str) -> str:
        return self.supervisor.log(name).read_text(errors='replace')


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """One graph for all tests: the last one ends it."""
    from cls_bench.faults.nodes.observer import observe

    folder = tmp_path_factory.mktemp('graph')
    parameters = folder / 'test.param.yaml'
    learning = {**find('cls').short_cycles, 'sleep.wake_steps_per_cycle': CYCLE}
    given = {'slow_learner': learning, 'fast_learner': {'max_behind': MAX_BEHIND, 'action_rate': 20.0}}
    parameters.write_text(yaml.safe_dump({f'/**/{name}': {'ros__parameters': own} for name, own in given.items()}))
    options = GraphOptions(
        robot='sim', model='m', models_dir=str(folder), seed=2, encoder='thumbnail', params_file=str(parameters)
    )
    directory = RunDirectory.create()
    supervisor = Supervisor(directory.path, {p.name: node_command(p, NAMESPACE) for p in describe(options)})
    try:
        with observe(NAMESPACE, lambda _: None) as observer:
            made = Graph(supervisor, observer, folder)
            made.wait(lambda: observer.count >= 10, 'ten steps', 150.0)
            yield made
    finally:
        supervisor.close()
        directory.close(keep=False)


def test_acting_continues_when_slow_learner_has_caught_up(graph: Graph) -> None:
    observer = graph.observer
    with graph.stopped('slow_learner'):
        graph.wait(lambda: observer.client.statuses().fast.slowed > 0, 'acting waits')
    behind = observer.last
    graph.wait(lambda: observer.last > behind + MAX_BEHIND, 'acting continues')
    pair = observer.client.statuses()
    assert pair.fast.dropped == pair.slow.dropped == 0 and pair.slow.written >= behind


def test_concurrent_saves_get_the_answer_of_their_save(graph: Graph) -> None:
    client = graph.observer.client
    pause = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        with graph.stopped('slow_learner'):
            answers = [pool.submit(client.save_model) for _ in range(2)]
            pause.wait(1.0)  # both requests are sent
        texts = {answer.result(60) for answer in answers}
    generations = sorted(path.name for path in (graph.models / 'm' / 'generations').iterdir())
    assert texts == {f'generation {int(name)}' for name in generations} and len(texts) <= 2


def test_a_lease_survives_a_stopped_fast_learner(graph: Graph) -> None:
    client = graph.observer.client
    graph.wait(lambda: graph.observer.last >= 100, 'enough steps for a sleep')
    goal = client.sleep({'sws': 600, 'rem': -1, 'tether': -1})
    graph.wait(lambda: client.statuses().slow.phase_step > 0, 'asleep')
    pause = threading.Event()
    with graph.stopped('fast_learner'):
        pause.wait(4.5)  # longer than the lease of 3 s
    result = None
    while result is None:
        result = goal.wait(1.0)
    assert result.error_code == 0, result.error_msg
    graph.wait(lambda: client.statuses().last_sleep.startswith('slept'), 'a sentence about the sleep')
    assert 'silent for the whole lease' not in graph.log('fast_learner')


def test_an_end_undoes_a_sleep_and_saves_every_step(graph: Graph) -> None:
    from cls_bringup.orderly_end import OrderlyEnd

    client, cycles = graph.observer.client, graph.observer.client.statuses().slow.cycles
    goal = client.sleep({'sws': 100_000})
    graph.wait(lambda: client.statuses().slow.phase_step > 0, 'asleep')
    assert client.statuses().progress[1] == 100_000, 'the status has the progress'
    with pytest.raises(UserError, match='rejected'):
        client.sleep()
    graph.wait(lambda: 'sleep goal rejected: asleep already' in graph.log('slow_learner'), 'the reason is logged')
    end = OrderlyEnd(client, lambda: False)
    end.run()
    generation = max((graph.models / 'm' / 'generations').iterdir())
    assert end.problem == '' and end.saved == f'generation {int(generation.name)}'
    assert goal.wait(30.0).error_code == 106
    graph.wait(lambda: 'cancelled' in client.statuses().last_sleep, 'a sentence about the cancelled sleep')
    assert client.statuses().fast.mode == 'manual', 'no step follows the save'
    saved = json.loads((generation / 'manifest.json').read_text())
    assert (saved['sequence'], saved['cycles']) == (graph.observer.last, cycles)


def test_experiences_not_yet_received_are_in_the_journal_after_an_end(graph: Graph) -> None:
    observer = graph.observer
    observer.client.set_mode('curiosity')
    slowed = observer.client.statuses().fast.slowed
    with graph.stopped('slow_learner'):
        before = observer.last
        # Acting continues until slow_learner is too far behind, then waits.
        graph.wait(lambda: observer.client.statuses().fast.slowed > slowed, 'acting waits')
        assert observer.last - before <= MAX_BEHIND + 1
        assert any('acting waits' in alarm for alarm in observer.client.statuses().alarms)
        graph.supervisor.ask_to_end()
        graph.wait(lambda: observer.client.statuses().fast.phase == 'ending', 'fast_learner waits for slow_learner')
    assert [state.status for state in graph.supervisor.await_end()] == [0] * 4, graph.log('fast_learner')
    assert 'lost' not in graph.log('slow_learner') + graph.log('fast_learner')
    at, problems = inspect(graph.models, 'm')
    assert at.steps == observer.last and at.steps > before and not problems
