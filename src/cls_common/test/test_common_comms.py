"""The communication table: unique names, existing types, matching profiles."""

import dataclasses
import re

import pytest
from rclpy.qos import qos_check_compatible, QoSCompatibility

from cls_common import comms
from cls_common.nodes.qos import interface, to_qos

PROFILES = {name: value for name, value in vars(comms).items() if isinstance(value, comms.Profile)}
NAMED = [*comms.TOPICS, *comms.SERVICES, comms.SLEEP]
# The only names of a whole ROS graph; everything else must move with the namespace.
ABSOLUTE = {'/diagnostics', '/clock'}


def test_every_topic_and_service_of_the_module_is_in_the_table() -> None:
    assert set(comms.TOPICS) == {v for v in vars(comms).values() if isinstance(v, comms.Topic)}
    assert {*comms.SERVICES, comms.SLEEP} == {v for v in vars(comms).values() if isinstance(v, comms.Service)}


def test_names_are_unique_relative_and_legal() -> None:
    names = [entry.name for entry in NAMED]
    assert len(names) == len(set(names))
    for name in names:
        assert name in ABSOLUTE or re.fullmatch(r'[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*', name), name
    assert comms.OBSERVATION_PREFIX.endswith('/')
    assert not any(name.startswith(comms.OBSERVATION_PREFIX) for name in names)


@pytest.mark.parametrize('entry', NAMED, ids=lambda entry: entry.name)
def test_every_type_exists_and_is_of_its_kind(entry: comms.Topic | comms.Service) -> None:
    kind = 'msg' if isinstance(entry, comms.Topic) else 'action' if entry is comms.SLEEP else 'srv'
    assert entry.type.split('/')[1] == kind
    assert interface(entry.type).__name__ == entry.type.split('/')[2]


@pytest.mark.parametrize('name', PROFILES)
def test_publisher_and_subscription_of_a_topic_match(name: str) -> None:
    qos = to_qos(PROFILES[name])
    assert qos_check_compatible(qos, qos)[0] == QoSCompatibility.OK


def test_best_effort_subscribers_match_every_topic() -> None:
    # rviz, rqt and Foxglove subscribe volatile and best effort by default.
    listener = to_qos(comms.SENSOR)
    for topic in comms.TOPICS:
        assert qos_check_compatible(to_qos(topic.profile), listener)[0] == QoSCompatibility.OK, topic.name


def test_lock_step_images_match_reliable_and_best_effort_subscribers() -> None:
    offered = to_qos(comms.SENSOR_RELIABLE)
    for wanted in (comms.SENSOR, comms.SENSOR_RELIABLE):
        assert qos_check_compatible(offered, to_qos(wanted))[0] == QoSCompatibility.OK
    # So both ends need the profile: a best-effort publisher never matches a reliable subscription.
    assert qos_check_compatible(to_qos(comms.SENSOR), offered)[0] == QoSCompatibility.ERROR


def test_commands_are_reliable_keep_only_the_newest_and_expire() -> None:
    for topic in (comms.ROBOT_ACTION, comms.MANUAL_ACTION):
        profile = topic.profile
        assert profile.reliable
        assert not profile.latched, 'a late joiner would obey an old command'
        assert profile.depth == 1
        assert 0 < profile.lifespan <= 1.0


def test_events_are_reliable_and_queued_for_seconds() -> None:
    for topic in (comms.EXPERIENCE, comms.APPLIED_ACTION):
        assert topic.profile.reliable
        assert topic.profile.depth >= 1000
        assert topic.profile.lifespan == 0


def test_latched_topics_have_one_publisher_in_a_robot() -> None:
    # Two publishers on one latched topic lose one of the two for late joiners. A body is one of these three.
    bodies = {'simulator', 'servo_driver', 'jetbot_driver', 'player'}
    for topic in comms.TOPICS:
        if topic.profile.latched:
            assert len(topic.publishers) == 1 or set(topic.publishers) <= bodies, topic.name


def test_every_topic_and_service_has_a_publisher_or_server() -> None:
    for entry in NAMED:
        offering = entry.publishers if isinstance(entry, comms.Topic) else entry.servers
        assert offering
        assert len(set(offering)) == len(offering)


def test_profiles_become_the_rclpy_settings() -> None:
    for profile in PROFILES.values():
        qos = to_qos(profile)
        assert (qos.reliability.name == 'RELIABLE') == profile.reliable
        assert (qos.durability.name == 'TRANSIENT_LOCAL') == profile.latched
        assert qos.depth == profile.depth
        assert qos.history.name == 'KEEP_LAST'
        if profile.lifespan:
            assert qos.lifespan.nanoseconds == profile.lifespan * 1e9
    with pytest.raises(dataclasses.FrozenInstanceError):
        comms.EVENT.depth = 1  # type: ignore[misc]
