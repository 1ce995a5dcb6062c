"""The last experiences as fast_learner sent them, for a slow_learner that was away."""

from collections import deque

from rclpy.node import Node

from cls_common import comms
from cls_interfaces.msg import Experience
from cls_interfaces.srv import GetExperiences

# 7 kB each: over a minute of a fast robot, two cycles.
KEPT = 2000
# A megabyte and a half an answer.
_AT_ONCE = 200


class Lived:
    """Serves fast_learner/get_experiences."""

    def __init__(self, node: Node) -> None:
        self._kept: deque[Experience] = deque(maxlen=KEPT)
        node.create_service(GetExperiences, comms.GET_EXPERIENCES.name, self._get)

    def add(self, experience: Experience) -> None:
        """Keeps one."""
        self._kept.append(experience)

    def forget(self) -> None:
        """Other weights came: what was lived before belongs to no one."""
        self._kept.clear()

    def _get(self, request: GetExperiences.Request, response: GetExperiences.Response) -> GetExperiences.Response:
        if self._kept:
            response.run_id = self._kept[-1].run_id
            response.oldest, response.newest = self._kept[0].sequence, self._kept[-1].sequence
        response.experiences = [e for e in self._kept if e.sequence > request.after][:_AT_ONCE]
        return response
