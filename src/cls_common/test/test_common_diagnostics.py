"""Names and messages of diagnostics."""

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
import pytest

from cls_common import diagnostics
from cls_common.diagnostics import Health, in_namespace, Level
from cls_common.nodes.diagnostics import to_diagnostics


@pytest.mark.parametrize(
    ('namespace', 'expected'), [('/', 'robot: link'), ('/left', 'left/robot: link'), ('/a/b', 'a/b/robot: link')]
)
def test_a_name_begins_with_the_namespace(namespace, expected):
    assert in_namespace(namespace, diagnostics.LINK) == expected


def test_a_message_holds_each_part_with_its_figures_as_text():
    health = [Health(diagnostics.CAMERA, Level.OK, 'good', {'rate [Hz]': 30.0}), Health('x', Level.ERROR, 'bad')]
    message = to_diagnostics('/left', 'E66', health, Time(sec=3))
    assert message.header.stamp.sec == 3
    first, second = message.status
    assert (first.name, first.hardware_id, first.message) == ('left/camera: stream', 'left/E66', 'good')
    assert (first.level, second.level) == (DiagnosticStatus.OK, DiagnosticStatus.ERROR)
    assert [(pair.key, pair.value) for pair in first.values] == [('rate [Hz]', '30.0')]
