"""Actions and their answers, and the memory by which a repeated action is answered again, not done again."""

from collections import OrderedDict
from dataclasses import dataclass

from .protocol import Angles
from .safety import Code

# A request is asked again within seconds. Somebody who starts anew counts from the beginning again, and must not
# get an answer of its former life.
_REPEAT_WINDOW = 5.0
_REMEMBERED = 64


@dataclass(frozen=True)
class Action:
    """A relative action as it came in.

    Attributes:
        source, sequence: who asked, and its count.
        values: change of pan and tilt, degrees; unchecked.
        age: s between decision and arrival; 0 where it carries no stamp.
        arrived: s of the steady clock.
    """

    source: str
    sequence: int
    values: tuple[float, ...]
    age: float
    arrived: float

    @property
    def key(self) -> tuple[str, int, str]:
        """Equal for repetitions; text, since a NaN equals nothing."""
        return self.source, self.sequence, repr(self.values)


@dataclass(frozen=True)
class Answer:
    """What was really done.

    Attributes:
        applied: change of pan and tilt after limits, degrees; zeros where nothing moved, empty where unknown.
        before, after: angles, degrees; None where unknown.
        start, end: ns of the ROS clock.
    """

    action: Action
    applied: tuple[float, ...]
    before: Angles | None
    after: Angles | None
    start: int
    end: int
    code: Code = Code.NONE
    text: str = ''


class AnswerMemory:
    """Remembers the last answers for a few seconds. One thread at a time."""

    def __init__(self) -> None:
        self._open: set[tuple[str, int, str]] = set()
        self._answers: OrderedDict[tuple[str, int, str], tuple[float, Answer]] = OrderedDict()

    def begin(self, action: Action) -> bool:
        """Notes a new action; False when it is under way already: its answer will come."""
        if action.key in self._open:
            return False
        self._open.add(action.key)
        return True

    def keep(self, answer: Answer, now: float) -> None:
        """Closes an action with its answer."""
        self._open.discard(answer.action.key)
        self._answers[answer.action.key] = (now, answer)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    def recall(self, action: Action) -> Answer | None:
        """Returns the answer already given to this very action, if it is recent."""
        given = self._answers.get(action.key)
        if given is None or action.arrived - given[0] > _REPEAT_WINDOW:
            return None
        return given[1]
