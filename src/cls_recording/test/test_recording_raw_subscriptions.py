"""The quality of service of a channel is known before its first message is recorded."""

from collections.abc import Iterator
import time

import pytest
import rclpy
from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_recording.message_queue import ReceivedMessage
from cls_recording.nodes.raw_subscriptions import RawSubscriptions

DEADLINE = 60.0


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node, rclpy.executors.SingleThreadedExecutor]]:
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    listening, speaking = (rclpy.create_node(name, context=context) for name in ('listening', 'speaking'))
    executor.add_node(listening)
    executor.add_node(speaking)
    yield listening, speaking, executor
    executor.shutdown()
    for node in (listening, speaking):
        node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize('topic', [comms.EMBEDDING, comms.SLOW_STATUS], ids=['embedding', 'latched status'])
def test_the_quality_of_service_of_a_publisher_that_comes_later_is_recorded(nodes, topic: comms.Topic) -> None:
    listening, speaking, executor = nodes
    received: list[ReceivedMessage] = []
    subscriptions = RawSubscriptions(listening, [topic.name], received.append, lambda name, count: None)
    publisher = qos.publisher(speaking, topic)  # after the subscription, and `refresh` is not called
    deadline = time.monotonic() + DEADLINE
    message = qos.interface(topic.type)()
    while not received and time.monotonic() < deadline:
        publisher.publish(message)
        executor.spin_once(timeout_sec=0.1)
    subscriptions.close()
    offered = received[0].topic.qos
    assert len(offered) == 1
    assert offered[0]['durability'] == ('transient_local' if topic.profile.latched else 'volatile')
    assert offered[0]['reliability'] == 'reliable'
