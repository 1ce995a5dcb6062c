"""Lifecycle transitions of a real node: errors are logged, failed steps undone, autostart raises its error."""

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn

from cls_common.errors import UserError
from cls_common.nodes.lifecycle import AutostartLifecycleNode

STEPS = ('configure', 'activate', 'deactivate', 'cleanup')


class RecordingNode(AutostartLifecycleNode):
    """Records its steps; those in `faults` raise the exception given there."""

    def __init__(self, context: Context) -> None:
        super().__init__('node', context=context)
        self.steps: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.log: list[str] = []

    def configure(self) -> None:
        self._step('configure')

    def activate(self) -> None:
        self._step('activate')

    def deactivate(self) -> None:
        self._step('deactivate')

    def cleanup(self) -> None:
        self._step('cleanup')

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.faults:
            raise self.faults[name]

    @property
    def state(self) -> str:
        label: str = self._state_machine.current_state[1]
        return label


@pytest.fixture
def node() -> Iterator[RecordingNode]:
    context = Context()
    rclpy.init(context=context)
    node = RecordingNode(context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_autostart_configures_and_activates(node: RecordingNode) -> None:
    node.autostart()
    assert node.steps == ['configure', 'activate']
    assert node.state == 'active'


def test_each_step_runs_once_from_start_to_cleanup(node: RecordingNode) -> None:
    node.autostart()
    assert node.trigger_deactivate() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    assert node.steps == list(STEPS)
    assert node.state == 'unconfigured'


@pytest.mark.parametrize(
    ('step', 'undone'),
    [('configure', ['cleanup']), ('activate', ['deactivate', 'cleanup'])],
)
def test_autostart_raises_the_user_error_and_undoes_completed_steps(
    node: RecordingNode, capfd: Any, step: str, undone: list[str]
) -> None:
    node.faults[step] = UserError('port', expected='a board', found='nothing')
    # What breaks while taking back is a consequence and must not hide the cause.
    node.faults['cleanup'] = UserError('not even open')
    with pytest.raises(UserError, match='port; expected a board; found nothing'):
        node.autostart()
    assert node.steps[-len(undone) :] == undone
    assert node.state != 'active'
    # The raised error is reported where it is caught: once.
    assert 'port; expected' not in capfd.readouterr().err


@pytest.mark.parametrize('step', ['configure', 'activate'])
def test_a_defect_during_autostart_is_logged_with_its_traceback(node: RecordingNode, capfd: Any, step: str) -> None:
    node.faults[step] = RuntimeError('a defect')
    with pytest.raises(UserError, match='node could not start'):
        node.autostart()
    output = capfd.readouterr().err
    assert output.count('RuntimeError: a defect') == 1
    assert 'Traceback' in output
    assert node.steps[-2:] == ['deactivate', 'cleanup'] or node.steps[-1] == 'cleanup'


@pytest.mark.parametrize('step', STEPS)
@pytest.mark.parametrize('fault', [UserError('no answer'), RuntimeError('no answer'), KeyError('no answer')])
def test_no_exception_of_a_transition_is_swallowed(
    node: RecordingNode, capfd: Any, step: str, fault: Exception
) -> None:
    node.faults[step] = fault
    for name in STEPS:
        result = getattr(node, f'trigger_{name}')()
        if name == step:
            break
        assert result is TransitionCallbackReturn.SUCCESS
    assert result is not TransitionCallbackReturn.SUCCESS
    assert 'no answer' in capfd.readouterr().err


def test_a_defect_while_active_stops_before_it_closes(node: RecordingNode) -> None:
    node.autostart()
    node.steps.clear()
    node.faults['deactivate'] = RuntimeError('a defect')
    node.trigger_deactivate()
    assert node.steps == ['deactivate', 'deactivate', 'cleanup']
    assert node.state == 'unconfigured'


def test_shutdown_from_active_stops_before_it_closes(node: RecordingNode) -> None:
    node.autostart()
    node.steps.clear()
    node.trigger_shutdown()
    assert node.steps == ['deactivate', 'cleanup']
    assert node.state == 'finalized'


def test_shutdown_before_activation_only_closes(node: RecordingNode) -> None:
    node.trigger_configure()
    node.steps.clear()
    node.trigger_shutdown()
    assert node.steps == ['cleanup']


def test_a_failed_start_can_be_tried_again(node: RecordingNode) -> None:
    node.faults['configure'] = UserError('not plugged in')
    with pytest.raises(UserError, match='not plugged in'):
        node.autostart()
    node.faults.clear()
    node.steps.clear()
    node.autostart()
    assert node.state == 'active'


def test_a_failed_activation_leaves_no_publisher_enabled(node: RecordingNode) -> None:
    from std_msgs.msg import String

    publisher = node.create_lifecycle_publisher(String, 'output', 1)
    node.trigger_configure()
    node.faults['activate'] = UserError('no camera')
    node.trigger_activate()
    assert not publisher.is_activated
    node.faults.clear()
    node.trigger_activate()
    assert publisher.is_activated
