"""The graph as it runs: every topic and service stands in the table, with its type, profile and offering node."""

from collections.abc import Callable, Iterator
import json
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility

from cls_bringup.graph import describe, GraphOptions, Process
from cls_common import comms
from cls_common.nodes.qos import to_qos

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = '/some_robot'
# Every node has these of ROS itself.
ROS_TOPICS = {'/rosout', '/parameter_events'}
ROS_SERVICE_TYPES = ('rcl_interfaces/', 'type_description_interfaces/', 'lifecycle_msgs/')
NODES = {'simulator', 'encoder', 'fast_learner', 'slow_learner'}

pytestmark = pytest.mark.timeout(300)  # four processes load PyTorch on what may be two busy cores


class Watcher:
    """A node beside the graph, and what it sees of it."""

    def __init__(self, context: Context) -> None:
        self.node = Node('watcher', context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Spins until a condition holds; returns whether it did in time, s."""
        deadline = time.monotonic() + timeout
        while not condition() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.2)
        return condition()

    def publishers(self) -> dict[str, set[str]]:
        """Returns node names by full topic name, without topics of ROS itself, of actions and of single metrics."""
        found: dict[str, set[str]] = {}
        for topic, _ in self.node.get_topic_names_and_types():
            # Who ended moments ago in another test may still be remembered: only our namespace counts.
            offers = self.node.get_publishers_info_by_topic(topic)
            names = {info.node_name for info in offers if info.node_namespace == NAMESPACE}
            if names and topic not in ROS_TOPICS and '/_action/' not in topic and comms.METRICS_INFIX not in topic:
                found[topic] = names
        return found

    def servers(self) -> dict[str, set[tuple[str, str]]]:
        """Returns (node name, type) by full service name, ROS's own services left out."""
        found: dict[str, set[tuple[str, str]]] = {}
        for node in NODES:
            for name, (kind, *_) in self.node.get_service_names_and_types_by_node(node, NAMESPACE):
                if not kind.startswith(ROS_SERVICE_TYPES) and '/_action/' not in name:
                    found.setdefault(name, set()).add((node, kind))
        return found

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()


def start(process: Process, folder: Path) -> 'subprocess.Popen[bytes]':
    arguments = ['-r', f'__ns:={NAMESPACE}']
    for file in process.parameter_files:
        arguments += ['--params-file', str(ROOT / 'config' / file)]
    for name, value in process.parameters.items():
        arguments += ['-p', f'{name}:={json.dumps(value)}']
    with open(folder / f'{process.name}.log', 'wb') as log:
        return subprocess.Popen(
            [sys.executable, '-m', process.module, '--ros-args', *arguments], stdout=log, stderr=log, cwd=folder
        )


@pytest.fixture(scope='module')
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    folder = tmp_path_factory.mktemp('graph')
    options = GraphOptions(models_dir=str(folder / 'models'), seed=1, lock_step=True, mode='manual')
    processes = [start(process, folder) for process in describe(options)]

    def has_ended() -> bool:
        return any(process.poll() is not None for process in processes)

    def logs() -> str:
        return ''.join(f'{path.name}:\n{path.read_text()}' for path in sorted(folder.glob('*.log')))

    context = Context()
    rclpy.init(context=context)
    watching = Watcher(context)
    try:
        # Waits for the whole graph, or a deadline: the tests report missing parts.
        watching.wait(lambda: expected_publishers() == watching.publishers() or has_ended(), 120)
        assert not has_ended(), logs()
        yield watching
    finally:
        watching.close()
        context.try_shutdown()
        for process in processes:
            process.send_signal(signal.SIGINT)
        statuses = [process.wait(60) for process in processes]
    assert statuses == [0] * len(processes), logs()


def full(name: str) -> str:
    return name if name.startswith('/') else f'{NAMESPACE}/{name}'


def expected_publishers() -> dict[str, set[str]]:
    wanted = {full(topic.name): NODES & set(topic.publishers) for topic in comms.TOPICS}
    return {name: nodes for name, nodes in wanted.items() if nodes}


def test_topics_and_publishers_equal_the_table(watcher: Watcher) -> None:
    assert watcher.publishers() == expected_publishers()


def test_each_metric_of_a_learner_is_a_topic_for_plots(watcher: Watcher) -> None:
    def metrics() -> dict[str, list[str]]:
        topics = dict(watcher.node.get_topic_names_and_types())
        return {
            topic: types
            for topic, types in topics.items()
            if topic.startswith(NAMESPACE + '/') and comms.METRICS_INFIX in topic
        }

    assert watcher.wait(
        lambda: {full('fast_learner/metrics/skill'), full('slow_learner/metrics/skill')} <= set(metrics()), 30
    )

    def owners() -> dict[str, list[str]]:
        found = {topic: watcher.node.get_publishers_info_by_topic(topic) for topic in metrics()}
        return {topic: [full(info.node_name) for info in infos] for topic, infos in found.items()}

    assert set(map(tuple, metrics().values())) == {('std_msgs/msg/Float64',)}
    # The name of a node arrives by another way than its publishers.
    assert watcher.wait(
        lambda: all(names == [topic.split(comms.METRICS_INFIX)[0]] for topic, names in owners().items()), 30
    ), owners()


@pytest.mark.parametrize('topic', comms.TOPICS, ids=lambda topic: topic.name)
def test_types_and_profiles_are_those_of_the_table(watcher: Watcher, topic: comms.Topic) -> None:
    profile = comms.SENSOR_RELIABLE if topic is comms.IMAGE else topic.profile  # in lock-step every image counts
    offered = [info for info in watcher.node.get_publishers_info_by_topic(full(topic.name)) if info.node_name in NODES]
    for info in offered:
        assert info.topic_type == topic.type
        assert (info.qos_profile.reliability.name == 'RELIABLE') == profile.reliable
        assert (info.qos_profile.durability.name == 'TRANSIENT_LOCAL') == profile.latched
        if profile.lifespan:
            assert info.qos_profile.lifespan == to_qos(profile).lifespan
    for listener in watcher.node.get_subscriptions_info_by_topic(full(topic.name)):
        assert listener.topic_type == topic.type
        for info in offered:
            result, reason = qos_check_compatible(info.qos_profile, listener.qos_profile)
            assert result != QoSCompatibility.ERROR, f'{listener.node_name} never receives {topic.name}: {reason}'


def test_services_and_servers_equal_the_table(watcher: Watcher) -> None:
    expected = {
        full(service.name): {(node, service.type) for node in NODES & set(service.servers)}
        for service in comms.SERVICES
        if NODES & set(service.servers)
    }
    watcher.wait(lambda: watcher.servers() == expected, 20)
    assert watcher.servers() == expected


def test_the_sleep_action_is_served(watcher: Watcher) -> None:
    def goals() -> list[tuple[str, list[str]]]:
        services = watcher.node.get_service_names_and_types_by_node('slow_learner', NAMESPACE)
        return [(name, kinds) for name, kinds in services if name == full('sleep/_action/send_goal')]

    assert watcher.wait(lambda: bool(goals()), 20)
    assert goals()[0][1] == [f'{comms.SLEEP.type}_SendGoal']
