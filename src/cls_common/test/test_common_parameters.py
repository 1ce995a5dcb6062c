"""Settings declared on a real node: what files and command line may set, and what a running node refuses."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
import math
from pathlib import Path
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterType
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from cls_common.comms import STATE, Topic
from cls_common.errors import UserError
from cls_common.nodes import parameters, qos
from cls_common.settings import group, setting, Settings


@dataclass(frozen=True, kw_only=True)
class Window(Settings):
    low: float = setting(0.0, 'start of the window', unit='s', read_only=False)
    high: float = setting(1.0, 'end of the window', unit='s', read_only=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise UserError('window', expected='low <= high', found=f'{self.low}, {self.high}')


@dataclass(frozen=True, kw_only=True)
class NodeSettings(Settings):
    device: str = setting('cpu', 'where it computes')
    mode: str = setting('manual', 'source of actions', choices=('manual', 'random'), read_only=False)
    rate: float = setting(10.0, 'steps a second', unit='Hz', low=0.1, high=100.0, read_only=False)
    gain: float = setting(1.0, 'any finite number', read_only=False)
    floor: float = setting(1.0, 'no upper limit', low=0.0, read_only=False)
    steps: int = setting(5, 'steps', low=1, high=10, read_only=False)
    most: int = setting(5, 'no lower limit', high=10, read_only=False)
    enabled: bool = setting(True, 'whether it runs', read_only=False)
    window: Window = group(Window)


@pytest.fixture
def nodes() -> Iterator[Any]:
    context = Context()
    made: list[Node] = []

    def make(
        *arguments: str,
        settings: type[Settings] = NodeSettings,
        in_force: dict[str, Any] | None = None,
        **defaults: Any,
    ) -> tuple[Node, Any]:
        if not context.ok():
            rclpy.init(args=['--ros-args', *arguments], context=context)
        node = Node('probe', context=context)
        made.append(node)
        return node, parameters.declare(node, settings, defaults or None, in_force)

    yield make
    for node in made:
        node.destroy_node()
    context.try_shutdown()


def test_defaults_are_declared_with_description_limits_and_flag(nodes: Any) -> None:
    node, settings = nodes()
    assert settings == NodeSettings()
    for name, value in settings.to_flat().items():
        assert node.get_parameter(name).value == value
    rate = node.describe_parameter('rate')
    assert rate.description == 'steps a second [Hz]'
    assert rate.type == ParameterType.PARAMETER_DOUBLE
    assert not rate.read_only
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (0.1, 100.0)
    steps = node.describe_parameter('steps').integer_range[0]
    assert (steps.from_value, steps.to_value) == (1, 10)
    assert node.describe_parameter('device').read_only
    assert node.describe_parameter('mode').additional_constraints == 'one of manual, random'
    assert node.describe_parameter('window.low').description == 'start of the window [s]'


def test_overrides_win_over_our_defaults_and_those_over_the_class(nodes: Any) -> None:
    node, settings = nodes('-p', 'rate:=2.5', '-p', 'window.high:=7.0', '-p', 'gain:=3', rate=1.0, steps=2)
    assert (settings.rate, settings.steps, settings.gain) == (2.5, 2, 3.0)
    assert settings.window == Window(high=7.0)
    assert node.get_parameter('rate').value == 2.5
    assert node.get_parameter('window.high').value == 7.0


def test_a_parameter_file_is_read_by_its_node_name(nodes: Any, tmp_path: Path) -> None:
    path = tmp_path / 'some.param.yaml'
    path.write_text('/**/probe: {ros__parameters: {window: {low: -1.0}}}\n/**/other: {ros__parameters: {x: 1}}\n')
    _, settings = nodes('--params-file', str(path))
    assert settings.window.low == -1.0


def test_an_unknown_override_is_refused_with_the_known_names(nodes: Any) -> None:
    with pytest.raises(UserError) as caught:
        nodes('-p', 'rat:=2.5')
    assert "'rat'" in str(caught.value)
    assert 'window.low' in str(caught.value)


@pytest.mark.parametrize(
    'override',
    [
        'rate:=0.0',
        'rate:=.nan',
        'rate:=fast',
        'steps:=11',
        'steps:=2.5',
        'mode:=follow',
        'gain:=.inf',
        'enabled:=1',
        'device:=1',
        'window.low:=2.0',
        'gain:=[1.0, 2.0]',
    ],
)
def test_a_bad_override_is_refused(nodes: Any, override: str) -> None:
    with pytest.raises(UserError, match=override.split(':')[0].split('.')[0]):
        nodes('-p', override)


def test_overrides_of_ros_itself_are_not_ours(nodes: Any) -> None:
    _, settings = nodes('-p', 'use_sim_time:=true', '-p', 'qos_overrides./some.publisher.depth:=3')
    assert settings == NodeSettings()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('rate', 0.05),
        ('rate', 100.5),
        ('rate', math.nan),
        ('rate', math.inf),
        ('rate', 5),
        ('rate', 'fast'),
        ('gain', math.nan),
        ('gain', -math.inf),
        ('floor', -0.5),
        ('floor', math.nan),
        ('floor', math.inf),
        ('steps', 0),
        ('steps', 11),
        ('most', 11),
        ('mode', 'follow'),
        ('mode', ''),
        ('device', 'cuda'),
        ('enabled', 0),
        ('window.low', 1.5),
        ('window.high', math.nan),
        ('unheard_of', 1),
    ],
)
def test_a_running_node_refuses_invalid_values_and_keeps_its_own(nodes: Any, name: str, value: Any) -> None:
    node, _ = nodes()
    before = {n: node.get_parameter(n).value for n, _ in NodeSettings.leaves()}
    try:
        (result,) = node.set_parameters([Parameter(name, value=value)])
    except rclpy.exceptions.ParameterNotDeclaredException:
        assert name == 'unheard_of'
    else:
        assert not result.successful
        assert result.reason
    assert {n: node.get_parameter(n).value for n, _ in NodeSettings.leaves()} == before


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('rate', 0.1),
        ('rate', 100.0),
        ('gain', -1e30),
        ('floor', 0.0),
        ('floor', 1e12),
        ('steps', 1),
        ('steps', 10),
        ('most', -(10**12)),
        ('mode', 'random'),
        ('enabled', False),
        ('window.low', 1.0),
    ],
)
def test_a_running_node_accepts_valid_values(nodes: Any, name: str, value: Any) -> None:
    node, _ = nodes()
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert result.successful, result.reason
    assert node.get_parameter(name).value == value


def test_fields_that_hold_together_change_together(nodes: Any) -> None:
    node, _ = nodes()
    both = [Parameter('window.low', value=5.0), Parameter('window.high', value=6.0)]
    assert node.set_parameters_atomically(both).successful
    assert node.get_parameter('window.low').value == 5.0


def test_every_leaf_is_declared_and_nothing_else(nodes: Any) -> None:
    node, _ = nodes()
    ours = {name for name in node._parameters if not name.startswith(parameters._FOREIGN)}
    assert ours == {name for name, _ in NodeSettings.leaves()}
    assert len(fields(NodeSettings)) == 9


def test_values_in_force_override_all_others(nodes: Any) -> None:
    node, settings = nodes('-p', 'steps:=3', '-p', 'rate:=20.0', in_force={'steps': 7, 'window.low': 0.5})
    assert (settings.steps, settings.rate, settings.window.low) == (7, 20.0, 0.5)
    assert [node.get_parameter(name).value for name in ('steps', 'rate', 'window.low')] == [7, 20.0, 0.5]


def test_a_topic_may_be_opened_again_and_its_profile_overridden(nodes: Any) -> None:
    topic = Topic('some/topic', 'cls_interfaces/msg/RobotState', STATE, ('probe',))
    node, _ = nodes('-p', 'qos_overrides./some/topic.publisher.depth:=3')
    for _ in range(2):
        publisher = qos.publisher(node, topic)
        assert publisher.qos_profile.depth == 3
        node.destroy_publisher(publisher)
        node.destroy_subscription(qos.subscription(node, topic, lambda message: None))
