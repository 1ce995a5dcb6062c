"""Observes the experiences of a graph whose processes are killed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
import statistics
import threading
import time

from cls_bringup.nodes.graph_client import connect, GraphClient
from cls_common import comms
from cls_common.nodes.qos import subscription
from cls_interfaces.msg import Experience

# Steps whose median interval gives the rate, without the pauses of sleeps and kills.
_RATE_OF = 60


@dataclass(frozen=True)
class ObservedExperience:
    """One experience.

    Attributes:
        boundary: it begins an episode. ends_cycle: it is the last one before a sleep.
        time: of arrival, s on the steady clock.
    """

    sequence: int
    boundary: bool
    ends_cycle: bool
    time: float


class ExperienceObserver:
    """Records every experience of one graph.

    Attributes:
        client: the client of the graph, for statuses and calls.
    """

    def __init__(self, client: GraphClient, report: Callable[[int], None]) -> None:
        self.client = client
        self._report = report
        self._observed: list[ObservedExperience] = []
        self._changed = threading.Condition()
        subscription(client, comms.EXPERIENCE, self._on_experience)

    def _on_experience(self, message: Experience) -> None:
        with self._changed:
            self._observed.append(
                ObservedExperience(message.sequence, message.boundary, message.ends_cycle, time.monotonic())
            )
            self._changed.notify_all()
        self._report(message.sequence)

    @property
    def count(self) -> int:
        """Number of experiences observed."""
        return len(self._observed)

    @property
    def last(self) -> int:
        """Highest sequence observed, 0 before the first."""
        return max((h.sequence for h in self._observed[-2000:]), default=0)

    @property
    def is_asleep(self) -> bool:
        """Whether the last experience observed is followed by a sleep."""
        return bool(self._observed) and self._observed[-1].ends_cycle

    def since(self, count: int) -> list[ObservedExperience]:
        """Returns the experiences observed after the first `count`."""
        return self._observed[count:]

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Returns whether the condition held within `timeout` s; checked at each experience."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    @property
    def rate(self) -> float:
        """Wake steps a second, of the last steps; 0 before the second one."""
        times = [h.time for h in self._observed[-_RATE_OF:]]
        between = [b - a for a, b in pairwise(times)]
        return 1.0 / max(statistics.median(between), 1e-6) if between else 0.0


@contextmanager
def observe(namespace: str, report: Callable[[int], None]) -> Iterator[ExperienceObserver]:
    """Joins the graph until the block ends; `report` gets the sequence of each experience."""
    with connect(namespace) as client:
        yield ExperienceObserver(client, report)
