"""Raw subscriptions to a list of topics, opened as their publishers appear, with the quality of service they offer."""

from collections.abc import Callable, Mapping
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

from ..message_queue import Received
from ..metadata import TopicEntry
from ..schemas import find_schema
from ..topic_names import expected_type

# At 100 Hz a subscriber with depth 1000 may pause for ten seconds.
_DEPTH = 1000
# Reliable, and yet a row of images: what its publisher skipped shows in the stamps.
_STEADY = (comms.COMPRESSED.name,)


class Tap:
    """One open subscription to a topic, by its full name."""

    def __init__(self, subscription: Subscription, entry: TopicEntry, reliable: bool, latched: bool) -> None:
        self.subscription, self.entry = subscription, entry
        self.reliable, self.latched = reliable, latched


class Taps:
    """The subscriptions of a recording.

    Args:
        names: relative or full ones. on_message, on_lost: told of every message, and of messages lost in transport.
    """

    def __init__(
        self, node: Node, names: list[str], on_message: Callable[[Received], None],
        on_lost: Callable[[str, int], None],
    ) -> None:  # fmt: skip
        self._node, self._on_message, self._on_lost = node, on_message, on_lost
        self._names: dict[str, str] = {}
        self._taps: dict[str, Tap] = {}
        self._refused: set[str] = set()
        self.add(names)

    def add(self, names: list[str]) -> None:
        """Adds topics; those that are known already change nothing."""
        self._names |= {self._node.resolve_topic_name(name): name for name in names}
        self.refresh()

    @property
    def topics(self) -> list[str]:
        """Full names of the topics that are listened to."""
        return sorted(self._taps)

    def refresh(self) -> None:
        """Looks at the publishers there are: opens what is missing, opens anew what would not hear one of them."""
        for full, relative in self._names.items():
            infos = self._node.get_publishers_info_by_topic(full)
            tap = self._taps.get(full)
            wanted = _wanted(relative, infos)
            if tap is not None and wanted is not None and (tap.reliable, tap.latched) == wanted[1:]:
                continue
            if wanted is not None and full not in self._refused:
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
        # rclpy tells a callback that wants the message's times by its two arguments.
        subscription = self._node.create_subscription(
            kind, full, partial(self._hear, full), qos.to_qos(profile), raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=partial(self._lose, full)),
        )  # fmt: skip
        tap = Tap(subscription, _entry(full, type_name, infos), reliable, latched)
        self._taps[full] = tap

    def _hear(self, full: str, data: bytes, times: Mapping[str, int]) -> None:
        tap = self._taps.get(full)
        if tap is not None:
            if not tap.entry.qos:
                tap.entry = self._complete(tap.entry)
            log_time = times['received_timestamp'] or time.time_ns()
            steady = not tap.reliable or self._names[full] in _STEADY
            self._on_message(Received(tap.entry, log_time, data, tap.latched, steady))

    def _complete(self, entry: TopicEntry) -> TopicEntry:
        """Adds the quality of service before the first message is recorded: a channel is written once.

        Its publisher came after the subscription; where the graph does not name it yet, it is one of ours.
        """
        infos = self._node.get_publishers_info_by_topic(entry.name)
        profiles = [info.qos_profile for info in infos] or [qos.to_qos(_profile(self._names[entry.name]))]
        return TopicEntry(entry.name, entry.schema, tuple(map(_describe, profiles)))

    def _lose(self, full: str, event: Any) -> None:
        self._on_lost(full, event.total_count_change)

    def _close(self, full: str) -> None:
        tap = self._taps.pop(full, None)
        if tap is not None:
            self._node.destroy_subscription(tap.subscription)

    def close(self) -> None:
        """Hears nothing more."""
        for full in list(self._taps):
            self._close(full)


def _wanted(relative: str, infos: list[TopicEndpointInfo]) -> tuple[str, bool, bool] | None:
    """Returns type, reliable and latched by which every publisher is heard; None while nobody knows the type."""
    if infos:
        reliable = all(_is(info, 'reliability', 'reliable') for info in infos)
        return infos[0].topic_type, reliable, all(_is(info, 'durability', 'transient_local') for info in infos)
    profile, type_name = _profile(relative), expected_type(relative)
    return (type_name, profile.reliable, profile.latched) if type_name else None


def _profile(relative: str) -> comms.Profile:
    known = [topic.profile for topic in comms.TOPICS if topic.name == relative]
    return known[0] if known else comms.STATE


def _is(info: TopicEndpointInfo, policy: str, value: str) -> bool:
    return bool(getattr(info.qos_profile, policy).short_key == value)


def _entry(full: str, type_name: str, infos: list[TopicEndpointInfo]) -> TopicEntry:
    return TopicEntry(full, find_schema(type_name), tuple(_describe(info.qos_profile) for info in infos))


def _describe(profile: QoSProfile) -> dict[str, Any]:
    return {
        'history': profile.history.short_key, 'depth': profile.depth, 'reliability': profile.reliability.short_key,
        'durability': profile.durability.short_key, 'deadline': _span(profile.deadline),
        'lifespan': _span(profile.lifespan), 'liveliness': profile.liveliness.short_key,
        'liveliness_lease_duration': _span(profile.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': profile.avoid_ros_namespace_conventions,
    }  # fmt: skip


def _span(duration: Any) -> dict[str, int]:
    return {'sec': duration.nanoseconds // 1_000_000_000, 'nsec': duration.nanoseconds % 1_000_000_000}
