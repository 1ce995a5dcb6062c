"""Lifecycle transitions of a real node: errors are heard, what failed is taken back, autostart says why it failed."""

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn

from cls_common.errors import UserError
from cls_common.nodes.lifecycle import SelfStartingNode

STEPS = ('configure', 'activate', 'deactivate', 'cleanup')


class Probe(SelfStartingNode):
    """Writes down its steps; those named in `faults` raise what stands there."""

    def __init__(self, context: Context) -> None:
        super().__init__('probe', context=context)
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
def probe() -> Iterator[Probe]:
    context = Context()
    rclpy.init(context=context)
    node = Probe(context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_autostart_configures_and_activates(probe: Probe) -> None:
    probe.autostart()
    assert probe.steps == ['configure', 'activate']
    assert probe.state == 'active'


def test_a_whole_life_runs_each_step_once(probe: Probe) -> None:
    probe.autostart()
    assert probe.trigger_deactivate() is TransitionCallbackReturn.SUCCESS
    assert probe.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    assert probe.steps == list(STEPS)
    assert probe.state == 'unconfigured'


@pytest.mark.parametrize(
    ('step', 'taken_back'),
    [('configure', ['cleanup']), ('activate', ['deactivate', 'cleanup'])],
)
def test_autostart_raises_the_user_error_and_takes_back_what_began(
    probe: Probe, capfd: Any, step: str, taken_back: list[str]
) -> None:
    probe.faults[step] = UserError('port', expected='a board', found='nothing')
    # What breaks while taking back is a consequence and must not hide the cause.
    probe.faults['cleanup'] = UserError('not even open')
    with pytest.raises(UserError, match='port; expected a board; found nothing'):
        probe.autostart()
    assert probe.steps[-len(taken_back) :] == taken_back
    assert probe.state != 'active'
    # The raised error is reported where it is caught: once.
    assert 'port; expected' not in capfd.readouterr().err


@pytest.mark.parametrize('step', ['configure', 'activate'])
def test_a_defect_during_autostart_is_logged_with_its_traceback(probe: Probe, capfd: Any, step: str) -> None:
    probe.faults[step] = RuntimeError('a defect')
    with pytest.raises(UserError, match='probe could not start'):
        probe.autostart()
    said = capfd.readouterr().err
    assert said.count('RuntimeError: a defect') == 1
    assert 'Traceback' in said
    assert probe.steps[-2:] == ['deactivate', 'cleanup'] or probe.steps[-1] == 'cleanup'


@pytest.mark.parametrize('step', STEPS)
@pytest.mark.parametrize('fault', [UserError('no answer'), RuntimeError('no answer'), KeyError('no answer')])
def test_no_exception_of_a_transition_is_swallowed(probe: Probe, capfd: Any, step: str, fault: Exception) -> None:
    probe.faults[step] = fault
    for name in STEPS:
        result = getattr(probe, f'trigger_{name}')()
        if name == step:
            break
        assert result is TransitionCallbackReturn.SUCCESS
    assert result is not TransitionCallbackReturn.SUCCESS
    assert 'no answer' in capfd.readouterr().err


def test_a_defect_while_active_stops_before_it_closes(probe: Probe) -> None:
    probe.autostart()
    probe.steps.clear()
    probe.faults['deactivate'] = RuntimeError('a defect')
    probe.trigger_deactivate()
    assert probe.steps == ['deactivate', 'deactivate', 'cleanup']
    assert probe.state == 'unconfigured'


def test_shutdown_from_active_stops_before_it_closes(probe: Probe) -> None:
    probe.autostart()
    probe.steps.clear()
    probe.trigger_shutdown()
    assert probe.steps == ['deactivate', 'cleanup']
    assert probe.state == 'finalized'


def test_shutdown_before_activation_only_closes(probe: Probe) -> None:
    probe.trigger_configure()
    probe.steps.clear()
    probe.trigger_shutdown()
    assert probe.steps == ['cleanup']


def test_a_failed_start_can_be_tried_again(probe: Probe) -> None:
    probe.faults['configure'] = UserError('not plugged in')
    with pytest.raises(UserError, match='not plugged in'):
        probe.autostart()
    probe.faults.clear()
    probe.steps.clear()
    probe.autostart()
    assert probe.state == 'active'


def test_a_failed_activation_leaves_no_publisher_enabled(probe: Probe) -> None:
    from std_msgs.msg import String

    publisher = probe.create_lifecycle_publisher(String, 'said', 1)
    probe.trigger_configure()
    probe.faults['activate'] = UserError('no camera')
    probe.trigger_activate()
    assert not publisher.is_activated
    probe.faults.clear()
    probe.trigger_activate()
    assert publisher.is_activated
