"""Creates publishers, subscriptions, clients and timers from the table in `cls_common.comms`."""

from collections.abc import Callable
import importlib
from typing import Any

from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from ..comms import Profile, Service, Topic


def to_qos(profile: Profile) -> QoSProfile:
    """Returns the rclpy profile."""
    qos = QoSProfile(
        depth=profile.depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if profile.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if profile.latched else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )
    if profile.lifespan:
        qos.lifespan = Duration(seconds=profile.lifespan)
    return qos


def interface(name: str) -> Any:
    """Returns the class of a message, service or action from its ROS name, such as 'std_msgs/msg/Header'."""
    package, kind, class_name = name.split('/')
    return getattr(importlib.import_module(f'{package}.{kind}'), class_name)


def publisher(node: Node, topic: Topic, *, profile: Profile | None = None) -> Publisher:
    """Creates a publisher as in the table; its quality of service can be overridden by parameter."""
    return node.create_publisher(
        interface(topic.type),
        topic.name,
        to_qos(profile or topic.profile),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def subscription(
    node: Node,
    topic: Topic,
    callback: Callable[[Any], None],
    *,
    profile: Profile | None = None,
    callback_group: Any = None,
) -> Subscription:
    """Creates a subscription as in the table; its quality of service can be overridden by parameter."""
    return node.create_subscription(
        interface(topic.type),
        topic.name,
        callback,
        to_qos(profile or topic.profile),
        callback_group=callback_group,
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def client(node: Node, service: Service, *, callback_group: Any = None) -> Client:
    """Creates a client of a service of the table."""
    return node.create_client(interface(service.type), service.name, callback_group=callback_group)


def steady_timer(node: Node, period: float, callback: Callable[[], None], *, callback_group: Any = None) -> Timer:
    """Starts a timer with a period in s on the steady clock, which runs while /clock is paused."""
    return node.create_timer(
        period, callback, clock=Clock(clock_type=ClockType.STEADY_TIME), callback_group=callback_group
    )
