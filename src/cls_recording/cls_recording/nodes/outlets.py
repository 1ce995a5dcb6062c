"""Where a replay's messages go: publishers by topic, and images in the form that is wanted."""

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from cls_common import comms, images
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, to_bytes, to_image

from ..playing.items import Item
from ..playing.reading import Choice
from ..playing.sources import Source

_LOG_EVERY = 10.0  # s between two lines about damaged images
# Node names.
_LEARNER, _ENCODER = 'fast_learner', 'encoder'


class Outlets:
    """Publishes recorded messages as they are; opens each publisher when a session first needs it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: dict[str, Publisher] = {}
        self._choice: Choice | None = None
        self._recorded: frozenset[str] = frozenset()
        self._open(comms.ROBOT_INFO)

    def open(self, source: Source, choice: Choice) -> None:
        """Opens what a session needs, so that listeners find it before its first message."""
        self._choice, self._recorded = choice, frozenset(source.topics)
        for name in choice.topics:
            if name == comms.IMAGE.name and choice.reuses and choice.sense == comms.EMBEDDING.name:
                continue
            self._open(source.topics[name])
        if choice.sense == comms.COMPRESSED.name:
            self._open(comms.IMAGE)
        if comms.IMAGE.name in choice.topics:
            self._open(comms.COMPRESSED)

    def _open(self, topic: comms.Topic) -> None:
        if topic.name not in self._publishers:
            # Each image counts: one that is lost takes a step with it.
            profile = comms.SENSOR_RELIABLE if topic is comms.IMAGE else None
            self._publishers[topic.name] = qos.publisher(self._node, topic, profile=profile)

    @property
    def are_heard(self) -> bool:
        """Whether the learner, and the encoder where it has work, have found what this node publishes."""
        choice = self._choice
        if choice is None:
            return False
        ears = {comms.APPLIED_ACTION.name: _LEARNER} if comms.APPLIED_ACTION.name in choice.topics else {}
        mouths = {comms.EXPERIENCE.name: _LEARNER}
        if choice.reuses:
            ears[choice.sense] = _LEARNER
        else:
            ears[comms.IMAGE.name if choice.sense == comms.COMPRESSED.name else choice.sense] = _ENCODER
            mouths[comms.EMBEDDING.name] = _ENCODER
        found = [(self._node.get_subscriptions_info_by_topic(topic), name) for topic, name in ears.items()]
        found += [(self._node.get_publishers_info_by_topic(topic), name) for topic, name in mouths.items()]
        return all(any(end.node_name == name for end in ends) for ends, name in found)

    def say_info(self, info: bytes) -> None:
        """Publishes a robot's description."""
        self._publishers[comms.ROBOT_INFO.name].publish(info)

    def publish(self, item: Item) -> None:
        """Publishes a message, and images in their other form where somebody needs them."""
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
        if self._choice is None or self._choice.sense != item.topic:
            return
        message = deserialize_message(item.data, CompressedImage)
        rgb = images.from_jpeg(bytes(message.data))
        self._publishers[comms.IMAGE.name].publish(to_image(rgb, message.header.stamp, message.header.frame_id))
