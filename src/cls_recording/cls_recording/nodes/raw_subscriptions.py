"""Raw subscriptions to a list of topics, created as their publishers appear, with the offered quality of service."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
import time
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from cls_common import comms
from cls_common.nodes import qos
from cls_common.stamps import split

from ..message_queue import ReceivedMessage
from ..metadata import TopicEntry
from ..schemas import find_schema
from ..topic_names import expected_type

# At 100 Hz a subscriber with depth 1000 may pause for ten seconds.
_DEPTH = 1000
# Reliable, and of constant period: images that its publisher skipped show in the stamps.
_STEADY_RELIABLE = (comms.COMPRESSED.name,)


class RawSubscription:
    """One subscription to a topic."""

    def __init__(self, subscription: Subscription, entry: TopicEntry, reliable: bool, latched: bool) -> None:
        self.subscription, self.entry = subscription, entry
        self.reliable, self.latched = reliable, latched


class RawSubscriptions:
    """The subscriptions of a recording.

    Args:
        names: of topics, relative or full.
        on_message, on_lost: called for each message, and for messages lost in transport.
    """

    def __init__(
        self,
        node: Node,
        names: list[str],
        on_message: Callable[[ReceivedMessage], None],
        on_lost: Callable[[str, int], None],
    ) -> None:
        self._node, self._on_message, self._on_lost = node, on_message, on_lost
        self._names: dict[str, str] = {}
        self._subscriptions: dict[str, RawSubscription] = {}
        self._refused: set[str] = set()
        self.add(names)

    def add(self, names: list[str]) -> None:
        """Adds topics; known ones are ignored."""
        self._names |= {self._node.resolve_topic_name(name): name for name in names}
        self.refresh()

    @property
    def topics(self) -> list[str]:
        """Full names of the subscribed topics."""
        return sorted(self._subscriptions)

    def refresh(self) -> None:
        """Creates missing subscriptions, and recreates those whose quality of service does not match all publishers."""
        for full, relative in self._names.items():
            infos = self._node.get_publishers_info_by_topic(full)
            raw = self._subscriptions.get(full)
            wanted = _wanted(relative, infos)
            if raw is not None and wanted is not None and (raw.reliable, raw.latched) == wanted[1:]:
                continue
            if wanted is not None and full not in self._refused:
                if raw is not None:
                    self._close(full)
                self._open(full, relative, infos, *wanted)

    def _open(
        self, full: str, relative: str, infos: list[TopicEndpointInfo], type_name: str, reliable: bool, latched: bool
    ) -> None:
        try:
            kind = qos.interface(type_name)
        except (ImportError, AttributeError, ValueError):
            self._refused.add(full)
            self._node.get_logger().error(f'{full} is not recorded: its type {type_name} is not installed here')
            return
        profile = comms.Profile(reliable=reliable, latched=latched, depth=_DEPTH)
        # rclpy passes the message's times to callbacks with two arguments.
        subscription = self._node.create_subscription(
            kind,
            full,
            partial(self._on_raw, full),
            qos.to_qos(profile),
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=partial(self._on_message_lost, full)),
        )
        raw = RawSubscription(subscription, _entry(full, type_name, infos), reliable, latched)
        self._subscriptions[full] = raw

    def _on_raw(self, full: str, data: bytes, times: Mapping[str, int]) -> None:
        raw = self._subscriptions.get(full)
        if raw is not None:
            if not raw.entry.qos:
                raw.entry = self._with_qos(raw.entry)
            log_time = times['received_timestamp'] or time.time_ns()
            steady = not raw.reliable or self._names[full] in _STEADY_RELIABLE
            self._on_message(ReceivedMessage(raw.entry, log_time, data, raw.latched, steady))

    def _with_qos(self, entry: TopicEntry) -> TopicEntry:
        """Adds the quality of service before the first message is recorded: each channel is written once.

        Its publisher came after the subscription; if it is not in the graph yet, this project's profile is assumed.
        """
        infos = self._node.get_publishers_info_by_topic(entry.name)
        profiles = [info.qos_profile for info in infos] or [qos.to_qos(_profile(self._names[entry.name]))]
        return TopicEntry(entry.name, entry.schema, tuple(map(_describe, profiles)))

    def _on_message_lost(self, full: str, event: Any) -> None:
        self._on_lost(full, event.total_count_change)

    def count_publishers(self) -> int:
        """Returns the number of publishers of its topics, without those of commands: a terminal may outlive a graph."""
        return sum(
            self._node.count_publishers(full)
            for full, relative in self._names.items()
            if _profile(relative) is not comms.COMMAND
        )

    def _close(self, *names: str) -> None:
        arrived = [(full, *taken) for full in names for taken in self._take_arrived(full)]
        for full, data, times in sorted(arrived, key=lambda taken: taken[2]['received_timestamp']):
            self._on_raw(full, data, times)
        for full in names:
            self._node.destroy_subscription(self._subscriptions.pop(full).subscription)

    def _take_arrived(self, full: str) -> Iterator[tuple[bytes, Mapping[str, int]]]:
        """Yields the messages that have arrived and that the executor has not taken yet."""
        subscription = self._subscriptions[full].subscription
        with subscription.handle:
            for _ in range(_DEPTH):
                taken = subscription.handle.take_message(subscription.msg_type, True)
                if taken is None:
                    return
                yield taken

    def close(self) -> None:
        """Takes what has arrived, and destroys all subscriptions."""
        self._close(*self._subscriptions)


def _wanted(relative: str, infos: list[TopicEndpointInfo]) -> tuple[str, bool, bool] | None:
    """Returns type, reliable and latched that match every publisher; None while the type is unknown."""
    if infos:
        reliable = all(_policy_is(info, 'reliability', 'reliable') for info in infos)
        return infos[0].topic_type, reliable, all(_policy_is(info, 'durability', 'transient_local') for info in infos)
    profile, type_name = _profile(relative), expected_type(relative)
    return (type_name, profile.reliable, profile.latched) if type_name else None


def _profile(relative: str) -> comms.Profile:
    known = [topic.profile for topic in comms.TOPICS if topic.name == relative]
    return known[0] if known else comms.STATE


def _policy_is(info: TopicEndpointInfo, policy: str, value: str) -> bool:
    return bool(getattr(info.qos_profile, policy).short_key == value)


def _entry(full: str, type_name: str, infos: list[TopicEndpointInfo]) -> TopicEntry:
    return TopicEntry(full, find_schema(type_name), tuple(_describe(info.qos_profile) for info in infos))


def _describe(profile: QoSProfile) -> dict[str, Any]:
    return {
        'history': profile.history.short_key,
        'depth': profile.depth,
        'reliability': profile.reliability.short_key,
        'durability': profile.durability.short_key,
        'deadline': _to_dict(profile.deadline),
        'lifespan': _to_dict(profile.lifespan),
        'liveliness': profile.liveliness.short_key,
        'liveliness_lease_duration': _to_dict(profile.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': profile.avoid_ros_namespace_conventions,
    }


def _to_dict(duration: Any) -> dict[str, int]:
    seconds, rest = split(duration.nanoseconds)
    return {'sec': seconds, 'nsec': rest}
