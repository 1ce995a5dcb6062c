"""Each metric as a topic of its own, so that rqt_plot and PlotJuggler find it by name."""

from collections.abc import Mapping
import re

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Float64

from .. import comms
from . import qos


class MetricTopics:
    """Publishes `<node>/metrics/<name>` (std_msgs/Float64); a topic appears with the first value of its metric."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: dict[str, Publisher] = {}

    def publish(self, metrics: Mapping[str, float]) -> None:
        """Publishes figures by name; NaN where unknown."""
        for name, value in metrics.items():
            if name not in self._publishers:
                self._publishers[name] = qos.publisher(self._node, metric_topic(self._node.get_name(), name))
            self._publishers[name].publish(Float64(data=float(value)))


def metric_topic(node: str, metric: str) -> comms.Topic:
    """Returns the topic of a metric; what is no letter, digit or underscore in its name becomes an underscore."""
    name = re.sub('[^A-Za-z0-9_]', '_', metric)
    return comms.Topic(f'{node}{comms.METRICS_INFIX}{name}', 'std_msgs/msg/Float64', comms.DEFAULT, (node,))
