"""The whole graph as processes: wake, sleep, goals, kills, and the same weights as in one process."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import json
import math
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger
import yaml

from cls_bringup.graph import describe, GraphOptions, Process
from cls_cli.entry import main
from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.retrying_client import RetryingClient
from cls_interfaces.action import Sleep
from cls_interfaces.msg import Experience, LearnerStatus
from cls_interfaces.srv import SetMode
from cls_learning.model_store.listing import weights_hash

ROOT = Path(__file__).resolve().parents[1]
SEED, STEPS, CYCLE = 3, 70, 40
RECIPE = {
    'sleep.wake_steps_per_cycle': CYCLE,
    'sleep.sws_steps': 12,
    'sleep.rem_steps': 8,
    'sleep.tether_steps': 3,
    'network.slow_hidden': 64,
    'memory.piece_length': 10,
}
# Importing PyTorch is slow on a busy machine.
PATIENCE = 120.0

pytestmark = pytest.mark.timeout(400)


class Graph:
    """The processes of one robot in lock-step, and a node that subscribes to them."""

    def __init__(self, folder: Path, context: Context, steps: int = STEPS, image_lag: int = 0) -> None:
        self.folder = folder
        self.node = Node('listener', context=context)
        self.status: dict[str, LearnerStatus] = {}
        self.experiences: list[Experience] = []
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        for topic in (comms.FAST_STATUS, comms.SLOW_STATUS):
            qos.subscription(self.node, topic, lambda message: self.status.update({message.node: message}))
        qos.subscription(self.node, comms.EXPERIENCE, self.experiences.append)
        parameters = folder / 'recipe.param.yaml'
        settings = {'slow_learner': RECIPE, 'simulator': {'faults.image_lag': image_lag}}
        parameters.write_text(yaml.safe_dump({f'/**/{n}': {'ros__parameters': p} for n, p in settings.items()}))
        options = GraphOptions(
            robot='square',
            model='life',
            models_dir=str(folder),
            lock_step=True,
            seed=SEED,
            steps=steps,
            params_file=str(parameters),
        )
        self._described = {process.name: process for process in describe(options)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names or self._described:
            self.status.pop(name, None)
            self.running[name] = self._spawn(self._described[name])

    def _spawn(self, process: Process) -> 'subprocess.Popen[bytes]':
        arguments: list[str] = []
        for file in process.parameter_files:
            arguments += ['--params-file', file if file.startswith('/') else str(ROOT / 'config' / file)]
        for name, value in process.parameters.items():
            arguments += ['-p', f'{name}:={value if isinstance(value, str) else json.dumps(value)}']
        with open(self.folder / f'{process.name}.log', 'ab') as log:
            return subprocess.Popen(
                [sys.executable, '-m', process.module, '--ros-args', *arguments], stdout=log, stderr=log
            )

    def kill(self, *names: str) -> None:
        for name in names:
            self.running[name].kill()
            self.running.pop(name).wait()
            self.status.pop(name, None)

    def wait(self, what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Spins until the condition holds and returns it; fails with the last output of every process."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = '\n'.join(f'{p.name}: {p.read_text()[-600:]}' for p in self.folder.glob('*.log'))
                pytest.fail(f'waited for: {what}; ended: {ended}; status: {self.status}\n{logs}')
            self._executor.spin_once(timeout_sec=0.1)
        return value

    def fast(self, **wanted: Any) -> Callable[[], bool]:
        return self._says('fast_learner', wanted)

    def slow(self, **wanted: Any) -> Callable[[], bool]:
        return self._says('slow_learner', wanted)

    def _says(self, node: str, wanted: dict[str, Any]) -> Callable[[], bool]:
        def holds() -> bool:
            status = self.status.get(node)
            return status is not None and all(getattr(status, name) == value for name, value in wanted.items())

        return holds

    def call(self, service: comms.Service, request: Any) -> Any:
        client = qos.client(self.node, service)
        requests, answers = RetryingClient(client, retry_after=5.0), []
        self.wait(f'an answer of {service.name}', lambda: answers or requests.request(request, answers.append))
        self.node.destroy_client(client)
        return answers[0]

    def send_goal(self, feedback: Callable[[Any], None] = lambda _: None, **steps: int) -> Any:
        client = ActionClient(self.node, Sleep, comms.SLEEP.name)
        self.wait('the sleep server', client.server_is_ready)
        goal = Sleep.Goal(phases=list(steps), steps=list(steps.values()))
        future = client.send_goal_async(goal, feedback_callback=lambda m: feedback(m.feedback))
        self.wait('an answer to the goal', future.done)
        return future.result()

    def result(self, handle: Any) -> Any:
        future = handle.get_result_async()
        self.wait('the result of sleep', future.done)
        return future.result().result

    def saved_hash(self) -> str:
        answer = self.call(comms.SAVE_MODEL, Trigger.Request())
        assert answer.success, answer.message
        number = int(answer.message.split()[-1])
        manifest = json.loads((self.folder / 'life' / 'generations' / f'{number:06d}' / 'manifest.json').read_text())
        return str(manifest['weights_sha256'])

    def close(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        codes = {name: process.wait(30) for name, process in self.running.items()}
        self._executor.shutdown()
        self.node.destroy_node()
        assert set(codes.values()) <= {0}, codes


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with running(tmp_path_factory.mktemp('life')) as made:
        yield made


@contextmanager
def running(folder: Path, **options: int) -> Iterator[Graph]:
    context = Context()
    rclpy.init(context=context)
    made = Graph(folder, context, **options)
    try:
        made.start()
        yield made
        made.close()
    finally:
        for process in made.running.values():
            process.kill()
        rclpy.try_shutdown(context=context)


def trained(folder: Path, steps: int, settings: Mapping[str, Any]) -> str:
    """Returns the hash with which one process ends."""
    overrides = [text for name, value in settings.items() for text in ('--set', f'{name}={value}')]
    where = ['--robot', 'square', '--model', 'life', '--models-dir', str(folder)]
    assert main(['train', *where, '--steps', str(steps), '--seed', str(SEED), *overrides]) == 0
    return weights_hash(folder / 'life')


@pytest.mark.slow
def test_late_images_are_compensated_as_in_one_process(tmp_path: Path) -> None:
    """Runs first: two graphs must not run at once."""
    steps = 150
    with running(tmp_path, steps=steps, image_lag=1) as graph:
        graph.wait('the end of its steps', graph.fast(phase='done', total_steps=steps))
        graph.wait('slow_learner to receive every step', graph.slow(total_steps=steps))
        found = [e.image_delay for e in graph.experiences]
        assert set(found) == {0, 1} and found == sorted(found)
        assert [e.boundary for e in graph.experiences].count(True) == 2, 'at the first, and where the delay changes'
        assert 'images are 1 step late: taken into account' in graph.status['slow_learner'].alarms
        weights = graph.saved_hash()
    assert trained(tmp_path / 'one', steps, {**RECIPE, 'sim.faults.image_lag': 1}) == weights


def test_the_graph_learns_and_sleeps_to_the_weights_of_one_process(graph: Graph, tmp_path: Path) -> None:
    graph.wait('the end of its steps', graph.fast(phase='done', total_steps=STEPS, cycles=STEPS // CYCLE))
    graph.wait('slow_learner to receive every step', graph.slow(total_steps=STEPS))
    assert [e.sequence for e in graph.experiences] == list(range(1, STEPS + 1))
    assert sum(e.boundary for e in graph.experiences) == 1, 'no boundary after the first step, also not at the sleep'
    assert graph.status['fast_learner'].faults == 0

    assert trained(tmp_path, STEPS, RECIPE) == graph.saved_hash()


def test_a_sleep_goal_runs_its_phases_with_feedback(graph: Graph) -> None:
    feedback: list[tuple[str, int]] = []
    handle = graph.send_goal(lambda f: feedback.append((f.phase, f.step)), sws=5, rem=4, tether=-1)
    assert handle.accepted
    result = graph.result(handle)
    assert result.error_code == 0
    assert dict(zip(result.phases, result.steps)) == {'sws': 5, 'rem': 4, 'tether': 0}
    assert 'tether skipped: not asked for' in result.status
    means = {metric.name: metric.value for metric in result.metrics}
    assert means['avg_l_sws'] > 0 and means['avg_l_rem'] > 0 and math.isnan(means['avg_tether_loss'])
    assert {('sws', 5), ('rem', 4)} <= set(feedback)
    graph.wait('another cycle', graph.fast(cycles=2))


def test_a_second_goal_is_rejected_and_a_cancelled_sleep_changes_nothing(graph: Graph) -> None:
    before = graph.saved_hash()
    phases: list[str] = []
    handle = graph.send_goal(lambda f: phases.append(f.phase), sws=1_000_000)
    graph.wait('the sleep to run', lambda: phases)
    assert not graph.send_goal().accepted
    refused = graph.call(comms.SET_MODE, SetMode.Request(mode='dream'))
    assert not refused.success and 'curiosity' in refused.message
    refused = graph.call(comms.SET_MODE, SetMode.Request(mode='greedy'))
    assert not refused.success and "brain 'cls'; expected random or curiosity" in refused.message
    graph.wait('the answer to the cancel', handle.cancel_goal_async().done)
    result = graph.result(handle)
    assert result.error_code == Sleep.Result.CANCELLED
    graph.wait('Fast awake', graph.fast(phase='done', cycles=2))
    assert graph.saved_hash() == before


def test_fast_wakes_when_slow_is_killed_asleep_and_slow_restores_its_state(graph: Graph) -> None:
    before = graph.saved_hash()
    phases: list[str] = []
    graph.send_goal(lambda f: phases.append(f.phase), sws=1_000_000)
    graph.wait('the sleep to run', lambda: phases)
    graph.kill('slow_learner')
    graph.wait('Fast awake without slow_learner', graph.fast(phase='done', cycles=2), patience=15.0)
    graph.start('slow_learner')
    graph.wait('slow_learner to be back', graph.slow(loaded=True, total_steps=STEPS))
    assert graph.saved_hash() == before


def test_a_restarted_fast_learner_gets_its_state_back(graph: Graph) -> None:
    graph.kill('fast_learner')
    graph.start('fast_learner')
    # Its count of steps restarts, so it makes STEPS more.
    graph.wait('Fast to continue', graph.fast(phase='done', total_steps=2 * STEPS))
    graph.wait('slow_learner to receive every step', graph.slow(total_steps=2 * STEPS))
    assert graph.status['slow_learner'].dropped == 0, 'none left out'
    # This listener may be found after the first steps: the new Fast waits for slow_learner alone.
    received = [e.sequence for e in graph.experiences]
    late = received[STEPS] - STEPS
    assert late >= 1, 'no step twice'
    assert received == [*range(1, STEPS + 1), *range(STEPS + late, 2 * STEPS + 1)], 'none twice, and all in order'


def test_the_model_continues_after_all_processes_were_killed(graph: Graph) -> None:
    cycles = graph.status['fast_learner'].cycles
    graph.kill(*graph.running)
    graph.start()
    graph.wait('more steps', graph.fast(phase='done', total_steps=3 * STEPS))
    assert graph.status['fast_learner'].cycles > cycles
