"""Publishers of a replay, by topic, and conversion of images between raw and compressed."""

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from cls_common import comms, images
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, to_bytes, to_image

from ..playback.items import Item
from ..playback.session_stream import StreamSelection
from ..playback.sources import Source

_LOG_EVERY = 10.0  # s between two log lines about damaged images
# Node names.
_LEARNER_NODE, _ENCODER_NODE = 'fast_learner', 'encoder'
_GUID_PREFIX = 12  # bytes that all endpoints of a DDS participant share


class SessionPublishers:
    """Publishes recorded messages unchanged; creates each publisher when a session first needs it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: dict[str, Publisher] = {}
        self._selection: StreamSelection | None = None
        self._recorded: frozenset[str] = frozenset()
        self._open(comms.ROBOT_INFO)

    def open(self, source: Source, selection: StreamSelection) -> None:
        """Creates the publishers of a session, so that subscribers find them before the first message."""
        self._selection, self._recorded = selection, frozenset(source.topics)
        for name in selection.topics:
            if name == comms.IMAGE.name and selection.reuses and not selection.readings(name):
                continue
            self._open(source.topics[name])
        if selection.readings(comms.COMPRESSED.name):
            self._open(comms.IMAGE)
        if comms.IMAGE.name in selection.topics:
            self._open(comms.COMPRESSED)

    def _open(self, topic: comms.Topic) -> None:
        if topic.name not in self._publishers:
            # Reliable: a lost image costs a step.
            profile = comms.SENSOR_RELIABLE if topic is comms.IMAGE else None
            self._publishers[topic.name] = qos.publisher(self._node, topic, profile=profile)

    @property
    def have_subscribers(self) -> bool:
        """Whether the learner, and the encoder if needed, are connected to the publishers of this node."""
        selection = self._selection
        if selection is None:
            return False
        publishes, subscribes = (
            {_LEARNER_NODE: comms.EXPERIENCE},
            {_LEARNER_NODE: list[str](), _ENCODER_NODE: list[str]()},
        )
        if selection.needs_encoder:
            publishes[_ENCODER_NODE] = comms.EMBEDDING
        if comms.APPLIED_ACTION.name in selection.topics:
            subscribes[_LEARNER_NODE].append(comms.APPLIED_ACTION.name)
        for sense, topic in selection.senses.items():
            name = _ENCODER_NODE if selection.is_encoded(sense) else _LEARNER_NODE
            subscribes[name].append(comms.IMAGE.name if topic == comms.COMPRESSED.name else topic)
        return all(self._is_connected(name, topic, subscribes[name]) for name, topic in publishes.items())

    def _is_connected(self, name: str, publishes: comms.Topic, subscribes: Sequence[str]) -> bool:
        """Whether a node publishes a topic and subscribes to others.

        It is known by its name, or as one DDS participant: Fast DDS may lose the message with the names for good when
        many processes start at once, while everything else arrives.
        """
        ends = [self._node.get_publishers_info_by_topic(publishes.name)]
        ends += map(self._node.get_subscriptions_info_by_topic, subscribes)
        participants = [{bytes(end.endpoint_gid[:_GUID_PREFIX]) for end in each} for each in ends]
        is_named = all(any(end.node_name == name for end in each) for each in ends)
        return is_named or bool(set.intersection(*participants))

    def publish_robot_info(self, info: bytes) -> None:
        """Publishes a robot's description."""
        self._publishers[comms.ROBOT_INFO.name].publish(info)

    def publish_first(self, source: Source, item: Item) -> None:
        """Publishes an observation before the replay begins: an encoder or a model of vectors is made from it."""
        self._open(source.topics[item.topic])
        self.publish(item)

    def publish(self, item: Item) -> None:
        """Publishes a message, and images also in their other form if there are subscribers for it."""
        try:
            if item.topic == comms.IMAGE.name:
                self._publish_image(item)
            elif item.topic == comms.COMPRESSED.name:
                self._publish_compressed(item)
            else:
                self._publishers[item.topic].publish(item.data)
        except UserError as error:
            self._node.get_logger().warning(f'left out: {error}', throttle_duration_sec=_LOG_EVERY)

    def _publish_image(self, item: Item) -> None:
        if comms.IMAGE.name in self._publishers:
            self._publishers[item.topic].publish(item.data)
        compressed = self._publishers[comms.COMPRESSED.name]
        if comms.COMPRESSED.name in self._recorded or not compressed.get_subscription_count():
            return
        raw = deserialize_message(item.data, Image)
        message = CompressedImage(header=raw.header, format='jpeg')
        message.data = to_bytes(images.to_jpeg(from_image(raw)))
        compressed.publish(message)

    def _publish_compressed(self, item: Item) -> None:
        self._publishers[item.topic].publish(item.data)
        if self._selection is None or not self._selection.readings(item.topic):
            return
        message = deserialize_message(item.data, CompressedImage)
        rgb = images.from_jpeg(bytes(message.data))
        self._publishers[comms.IMAGE.name].publish(to_image(rgb, message.header.stamp, message.header.frame_id))
