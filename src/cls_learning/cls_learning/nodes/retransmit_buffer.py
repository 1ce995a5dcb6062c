"""The last experiences as fast_learner sent them, for a slow_learner that did not hear them."""

from collections import deque
import time
from typing import TYPE_CHECKING

from cls_common import comms
from cls_interfaces.msg import Experience
from cls_interfaces.srv import GetExperiences

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

# 7 kB each. More than a slow_learner may be behind (see FastNodeSettings.max_behind), so that none is lost.
CAPACITY = 2000
# A megabyte and a half an answer.
_AT_ONCE = 200
# A step under way when acting is held gets so long to close, s; then it is given up and never learned.
_CLOSING = 1.0


class RetransmitBuffer:
    """Serves fast_learner/get_experiences; holds acting while a slow_learner that ends takes what it lacks."""

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self._kept: deque[Experience] = deque(maxlen=CAPACITY)
        self._held_since = self._held_until = 0.0
        node.create_service(GetExperiences, comms.GET_EXPERIENCES.name, self._get)

    @property
    def is_held(self) -> bool:
        """Whether no action goes out: slow_learner ends, or this process does."""
        return time.monotonic() < self._held_until

    @property
    def is_settled(self) -> bool:
        """Whether no further experience will come while acting is held."""
        return self.is_held and not self._node.steps.is_open

    def hold(self, seconds: float) -> None:
        """Lets no action out for so long from now."""
        now = time.monotonic()
        if not self.is_held:
            self._held_since = now
        self._held_until = max(self._held_until, now + seconds)

    def tick(self, now: float) -> None:
        """Gives up a step that did not close in time while acting is held; steady time in s."""
        if self.is_held and self._node.steps.is_open and now - self._held_since > _CLOSING:
            self._node.steps.break_chain()

    def add(self, experience: Experience) -> None:
        """Keeps one."""
        self._kept.append(experience)

    def clear(self) -> None:
        """Forgets all; called when other weights are loaded."""
        self._kept.clear()
        self._held_until = 0.0

    def _get(self, request: GetExperiences.Request, response: GetExperiences.Response) -> GetExperiences.Response:
        if request.hold > 0.0:
            self.hold(request.hold)
            self._node.backlog.acknowledge(request.after)
        if self._kept:
            response.run_id = self._kept[-1].run_id
            response.oldest, response.newest = self._kept[0].sequence, self._kept[-1].sequence
        response.settled = self.is_settled
        response.experiences = [e for e in self._kept if e.sequence > request.after][:_AT_ONCE]
        return response
