"""Actions and their results, and the cache by which a repeated action is answered without being carried out again."""

from collections import OrderedDict
from dataclasses import dataclass

from .safety import Code

# Requests are repeated within seconds. A restarted client counts from the beginning again, and must not get results
# of its previous run.
_REPEAT_WINDOW = 5.0
_MAX_CACHED = 64


@dataclass(frozen=True)
class DriverAction:
    """A received action.

    Attributes:
        source, sequence: client, and its action counter.
        values: one for each channel of the robot, in its units; unchecked.
        age: s between stamp and arrival; 0 without a stamp.
        arrived: s of the steady clock.
    """

    source: str
    sequence: int
    values: tuple[float, ...]
    age: float
    arrived: float

    @property
    def key(self) -> tuple[str, int, str]:
        """Equal for repetitions; values as text, since NaN is not equal to itself."""
        return self.source, self.sequence, repr(self.values)


@dataclass(frozen=True)
class ActionResult:
    """Result of an action.

    Attributes:
        applied: values after limits; zeros if nothing moved, empty if unknown.
        before, after: joint angles, degrees; None where unknown, or where the robot has no joints.
        start, end: ns of the ROS clock.
    """

    action: DriverAction
    applied: tuple[float, ...]
    before: tuple[float, ...] | None
    after: tuple[float, ...] | None
    start: int
    end: int
    code: Code = Code.NONE
    text: str = ''


class ResultCache:
    """Keeps the last results for a few seconds. Not thread-safe."""

    def __init__(self) -> None:
        self._open: set[tuple[str, int, str]] = set()
        self._results: OrderedDict[tuple[str, int, str], tuple[float, ActionResult]] = OrderedDict()

    def begin(self, action: DriverAction) -> bool:
        """Registers a new action; returns False if it is in progress already: its result follows."""
        if action.key in self._open:
            return False
        self._open.add(action.key)
        return True

    def keep(self, result: ActionResult, now: float) -> None:
        """Stores the result of an action."""
        self._open.discard(result.action.key)
        self._results[result.action.key] = (now, result)
        while len(self._results) > _MAX_CACHED:
            self._results.popitem(last=False)

    def recall(self, action: DriverAction) -> ActionResult | None:
        """Returns the recent result of the same action, or None."""
        cached = self._results.get(action.key)
        if cached is None or action.arrived - cached[0] > _REPEAT_WINDOW:
            return None
        return cached[1]
