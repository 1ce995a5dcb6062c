"""Which topics are recorded, and how long a recorder that ends with its graph goes on."""

from cls_common import comms
from cls_common.robot import Channel, Kind, RobotInfo
from cls_recording.graph_end import GraphEnd, PATIENCE
from cls_recording.topic_selection import observations, select, split_names, USUAL


def test_named_topics_replace_the_usual_ones() -> None:
    assert select(split_names(' joint_states, ,embedding'), clock=True) == ['joint_states', 'embedding']


def test_without_names_the_usual_topics_are_recorded_and_the_clock_on_request() -> None:
    usual = select(split_names(''), clock=False)
    assert usual == [topic.name for topic in USUAL] and comms.CLOCK.name not in usual
    assert comms.IMAGE.name not in usual and comms.COMPRESSED.name in usual
    assert select([], clock=True) == [*usual, comms.CLOCK.name]


def test_observations_are_the_modalities_without_the_camera() -> None:
    channels = (Channel('x', Kind.RELATIVE, 'm', -1.0, 1.0),)
    robot = RobotInfo(name='r', modalities=('camera', 'touch', 'odometry'), channels=channels)
    assert observations(robot) == ['observation/touch', 'observation/odometry']


def test_an_end_waits_while_publishers_leave_one_after_the_other() -> None:
    end = GraphEnd()
    assert not end.is_over(3, 100.0)
    assert not end.is_over(3, 100.0 + PATIENCE)
    assert not end.is_over(2, 100.1 + PATIENCE), 'one has ended: the others may follow'
    assert not end.is_over(3, 100.0 + 2 * PATIENCE), 'a new publisher is no sign of an end'
    assert end.is_over(2, 100.2 + 2 * PATIENCE)


def test_an_end_is_over_at_once_without_publishers() -> None:
    assert GraphEnd().is_over(0, 100.0)
