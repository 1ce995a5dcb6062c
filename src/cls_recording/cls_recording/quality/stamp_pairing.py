"""Finds actions without an image before and after them, by stamps: these can't be learned from. No ROS here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, UTC

import numpy as np

from cls_common.stamps import NS

# Stamps before the year 2000 are of a clock that was never set.
_SET_CLOCK = 946_684_800 * NS
# The first and the last action of a recording may have no image before or after them.
_ENDS = 2


@dataclass
class Pairing:
    """Stamps of observations and times of accepted actions, ns.

    Attributes:
        senses: stamps by relative topic, of images, embeddings or observations.
        actions: start and end of each. settle: settle time after an action, ns.
    """

    settle: int = 0
    senses: dict[str, list[int]] = field(default_factory=dict)
    actions: list[tuple[int, int]] = field(default_factory=list)

    def unpaired(self) -> dict[str, int]:
        """Returns for each topic the number of actions without a message before and after."""
        return {topic: _count_unpaired(stamps, self.actions, self.settle) for topic, stamps in self.senses.items()}

    def problems(self) -> tuple[list[str], list[str]]:
        """Returns the problems that make learning impossible, and those that cost steps, one line each."""
        if not self.actions or not self.senses:
            return [], []
        unpaired, total = self.unpaired(), len(self.actions)
        useless = [topic for topic, count in unpaired.items() if count == total]
        lines = [
            f'{topic}: no message before and after an action, it is stamped {_span(self.senses[topic])} and actions '
            f'{_span([time for action in self.actions for time in action])}: nothing to learn from'
            for topic in useless
        ]
        some = [
            f'{count} of {total} actions without {topic} before and after'
            for topic, count in unpaired.items()
            if _ENDS < count < total
        ]
        return (lines, some) if len(useless) == len(unpaired) else ([], [*lines, *some])


def _count_unpaired(stamps: Sequence[int], actions: Sequence[tuple[int, int]], settle: int) -> int:
    rising = np.unique(np.asarray(stamps, np.int64))
    starts, ends = np.asarray(actions, np.int64).T
    before = np.searchsorted(rising, starts, 'right') > 0
    after = np.searchsorted(rising, ends + settle, 'right') < rising.size
    return int((~(before & after)).sum())


def _span(stamps: Sequence[int]) -> str:
    first, last = min(stamps), max(stamps)
    if first == last == 0:
        return '0 (never)'
    if last < _SET_CLOCK:
        return f'{first / NS:.3f} to {last / NS:.3f} s (since boot)'
    return f'{_when(first)} to {_when(last)}'


def _when(time: int) -> str:
    return f'{datetime.fromtimestamp(time / NS, UTC):%Y-%m-%d %H:%M:%S}'
