"""Counts and distributions of the actions of a session. No ROS here."""

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.stamps import to_nanoseconds

# A channel with at most this many different values (keys, sequences) is counted by value; others by histogram bins.
_MAX_DISTINCT = 12
_BINS = 10
_MOST_FREQUENT = 5


@dataclass(frozen=True)
class ChannelActions:
    """Distribution of one channel's commanded values.

    Attributes:
        name, unit: of the channel.
        edges: of the bins, in unit; empty where each value is counted.
        values: that were counted, or the middles of the bins, in unit.
        counts: one for each value.
        mean, std: in unit.
    """

    name: str
    unit: str
    edges: tuple[float, ...]
    values: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float
    std: float


@dataclass(frozen=True)
class Actions:
    """Statistics of a session's actions.

    Attributes:
        accepted: carried out. refused: by error text, or code where there is none.
        sources: of the accepted ones, with counts.
        channels: one each; empty without accepted actions.
        most_frequent: whole actions as commanded, with their counts.
        duration: from an action's start to its end, median in s. period: between two ends, median in s.
        periods: between two ends, the shortest, the longest and the deviation, s.
        rewarded, episodes: actions with a reward; those that ended an episode.
    """

    accepted: int
    refused: dict[str, int]
    sources: dict[str, int]
    channels: tuple[ChannelActions, ...]
    most_frequent: tuple[tuple[tuple[float, ...], int], ...]
    duration: float
    period: float
    periods: tuple[float, float, float]
    rewarded: int
    episodes: int


class ActionCounter:
    """Counts the applied actions of one session."""

    def __init__(self, robot: RobotInfo | None) -> None:
        self._robot = robot
        self._actions: list[tuple[float, ...]] = []
        self._times: list[tuple[int, int]] = []
        self._refused: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._rewarded = self._episodes = 0

    def add(self, message: Any) -> None:
        """Takes the next robot/applied_action, decoded."""
        if message.error_code:
            self._refused[message.error_msg or f'error {message.error_code}'] += 1
            return
        self._actions.append(tuple(map(float, message.commanded)))
        self._times.append((to_nanoseconds(message.start), to_nanoseconds(message.end)))
        self._sources[message.source] += 1
        self._rewarded += not np.isnan(message.reward)
        self._episodes += bool(message.terminal or message.truncated)

    def finish(self) -> Actions:
        """Returns the statistics; actions of another length than most are left out of the distribution."""
        lengths = Counter(len(action) for action in self._actions)
        size = lengths.most_common(1)[0][0] if lengths else 0
        table = np.array([action for action in self._actions if len(action) == size], np.float64).reshape(
            lengths[size], size
        )
        between = np.diff([end for _, end in self._times]) * 1e-9
        channels = enumerate(self._channels(size, table))
        return Actions(
            accepted=len(self._actions),
            refused=dict(self._refused),
            sources=dict(self._sources),
            channels=tuple(_distribution(channel, table[:, i]) for i, channel in channels),
            most_frequent=tuple(Counter(self._actions).most_common(_MOST_FREQUENT)),
            duration=median(end - start for start, end in self._times) * 1e-9 if self._times else 0.0,
            period=float(np.median(between)) if len(between) else 0.0,
            periods=(float(between.min()), float(between.max()), float(between.std())) if len(between) else (0.0,) * 3,
            rewarded=self._rewarded,
            episodes=self._episodes,
        )

    def _channels(self, size: int, table: Any) -> tuple[Channel, ...]:
        if self._robot is not None and len(self._robot.channels) == size:
            return self._robot.channels
        return tuple(Channel(f'{i}', Kind.ABSOLUTE, '', table[:, i].min(), table[:, i].max()) for i in range(size))


def _distribution(channel: Channel, values: Any) -> ChannelActions:
    different, counts = np.unique(values, return_counts=True)
    edges: Any = ()
    if len(different) > _MAX_DISTINCT and channel.kind != Kind.DISCRETE:
        low, high = min(channel.low, values.min()), max(channel.high, values.max())
        counts, edges = np.histogram(values, bins=_BINS, range=(low, high))
        different = (edges[1:] + edges[:-1]) / 2
    return ChannelActions(
        name=channel.name,
        unit=channel.unit,
        edges=tuple(map(float, edges)),
        values=tuple(map(float, different)),
        counts=tuple(map(int, counts)),
        mean=float(values.mean()),
        std=float(values.std()),
    )
