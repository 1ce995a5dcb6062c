"""What somebody who stands by hears of a graph that is being killed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
import statistics
import threading
import time

from cls_bringup.nodes.remote import connect, Remote
from cls_common import comms
from cls_common.nodes.qos import subscription
from cls_interfaces.msg import Experience

# Of this many last steps the rate is that of the middle one: nights and deaths are no slowness.
_RATE_OF = 60


@dataclass(frozen=True)
class Heard:
    """One experience: its sequence, whether it broke the chain, and when it was heard, s on the steady clock."""

    sequence: int
    boundary: bool
    time: float


class Witness:
    """Hears every experience of one graph.

    Attributes:
        remote: the node that listens, for statuses and calls.
    """

    def __init__(self, remote: Remote, tell: Callable[[int], None]) -> None:
        self.remote = remote
        self._tell = tell
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        subscription(remote, comms.EXPERIENCE, self._on_experience)

    def _on_experience(self, message: Experience) -> None:
        with self._changed:
            self._heard.append(Heard(message.sequence, message.boundary, time.monotonic()))
            self._changed.notify_all()
        self._tell(message.sequence)

    @property
    def count(self) -> int:
        """How many were heard."""
        return len(self._heard)

    @property
    def last(self) -> int:
        """Highest sequence heard, 0 before the first."""
        return max((h.sequence for h in self._heard[-2000:]), default=0)

    def since(self, count: int) -> list[Heard]:
        """Returns what was heard after the first `count`."""
        return self._heard[count:]

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Returns whether the condition held within `timeout` s; asked with each experience."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    @property
    def rate(self) -> float:
        """Wake steps a second, of the last ones; 0 before there are two."""
        times = [h.time for h in self._heard[-_RATE_OF:]]
        between = [b - a for a, b in pairwise(times)]
        return 1.0 / max(statistics.median(between), 1e-6) if between else 0.0


@contextmanager
def witness(namespace: str, tell: Callable[[int], None]) -> Iterator[Witness]:
    """Joins the graph until the block ends; `tell` gets the sequence of each experience."""
    with connect(namespace) as remote:
        yield Witness(remote, tell)
