"""Pictures of what the brain sees and expects, while a viewer subscribes."""

import time
from typing import TYPE_CHECKING

from cls_common import comms, picture_grid
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_image

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

PERIOD = 0.5
# Share of this node's time that pictures may take: it also closes the steps.
_SHARE = 0.1


class PicturePublisher:
    """Publishes fast_learner/pictures, up to twice a second; their names, separated by semicolons, are its frame_id."""

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self._out = qos.publisher(node, comms.PICTURES)
        self._due = 0.0
        qos.steady_timer(node, PERIOD, self.publish)

    def publish(self) -> None:
        """Publishes the pictures where a viewer subscribes, and the last ones did not take too long."""
        learner, begun = self._node.learner, time.monotonic()
        if learner is None or begun < self._due or not self._out.get_subscription_count():
            return
        if pictures := learner.pictures():
            stamp = self._node.get_clock().now().to_msg()
            self._out.publish(to_image(picture_grid.join(pictures), stamp, ';'.join(pictures)))
        now = time.monotonic()
        self._due = now + (now - begun) * (1 / _SHARE - 1)
