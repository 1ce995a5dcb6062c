"""Reports that it plays, or waits where it has a `fault`, and is finished after `seconds`."""

import sys
import time

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import runner
from cls_common.nodes.qos import publisher, steady_timer
from cls_interfaces.msg import PlayerStatus


class FakePlayer(Node):
    """Publishes player/status."""

    def __init__(self) -> None:
        super().__init__('player')
        self._end = time.monotonic() + self.declare_parameter('seconds', 3.0).value
        self._fault = self.declare_parameter('fault', '').value
        self._publisher = publisher(self, comms.PLAYER_STATUS)
        steady_timer(self, 0.1, self._say)

    def _say(self) -> None:
        state = PlayerStatus.WAITING if self._fault else PlayerStatus.PLAYING
        is_over = time.monotonic() > self._end
        self._publisher.publish(
            PlayerStatus(
                state=PlayerStatus.FINISHED if is_over else state,
                fault=self._fault,
                sessions=1,
                steps=40,
                unanswered=3,
                progress=1.0 if is_over else 0.5,
                missing=['robot/applied_action'],
            )
        )


def main() -> int:
    """Runs the node."""
    return runner.run(FakePlayer)


if __name__ == '__main__':
    sys.exit(main())
