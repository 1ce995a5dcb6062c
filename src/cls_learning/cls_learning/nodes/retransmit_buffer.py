"""The last experiences as fast_learner sent them, for a slow_learner that did not hear them."""

import time
from typing import TYPE_CHECKING

from cls_common import comms
from cls_interfaces.msg import Experience
from cls_interfaces.srv import GetExperiences

from ..runtime.sent_messages import SentMessages

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode

# Of brain cls 6 kB each. More than a slow_learner may be behind (FastNodeSettings.max_behind), so that none is lost.
CAPACITY = 2000
# Bytes of their arrays, for brains that perceive images: 2,600 messages of 64 x 64 pixels, 210 of 224 x 224. Those that
# slow_learner may be behind are kept beyond this.
MAX_BYTES = 64_000_000
# Experiences that may be sent after acting began to wait: one under way, one of a person.
_UNDER_WAY = 2
# An answer is made and sent between two wake steps.
_AT_ONCE, _BYTES_AT_ONCE = 200, 4_000_000
# A step under way when acting is held gets so long to close, s; then it is given up and never learned.
_CLOSING = 1.0


class RetransmitBuffer:
    """Serves fast_learner/get_experiences; holds acting while a slow_learner that ends takes what it lacks."""

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        at_least = node.backlog.limit + _UNDER_WAY
        self._sent: SentMessages[Experience] = SentMessages(CAPACITY, MAX_BYTES, at_least)
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
        self._sent.add(experience.sequence, experience, size_of(experience))

    def clear(self) -> None:
        """Drops all; called when other weights are loaded."""
        self._sent.clear()
        self._held_until = 0.0

    def _get(self, request: GetExperiences.Request, response: GetExperiences.Response) -> GetExperiences.Response:
        if request.hold > 0.0:
            self.hold(request.hold)
            self._node.backlog.acknowledge(request.after)
        newest = self._sent.newest
        if newest is not None:
            response.run_id = newest.run_id
            response.oldest, response.newest = self._sent.sequences
        response.settled = self.is_settled
        response.experiences = self._sent.after(request.after, _AT_ONCE, _BYTES_AT_ONCE)
        return response


def size_of(experience: Experience) -> int:
    """Returns the bytes of the named arrays of a message: what it perceived, and its extras."""
    readings = [reading.array for reading in (*experience.before, *experience.after)]
    return sum(len(array.data) for array in (*readings, *experience.extras))
