"""Statistics of a run: action counts, rate, refusals and missing answers. Pure."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cls_common.robot import action_text, Channel

# Continuous actions rarely repeat, so the number of counted kinds is bounded.
MOST_KINDS = 10_000
_SHOWN, _REPORTED = 8, 100


@dataclass
class Statistics:
    """Counts of one run.

    Attributes:
        channels: channels of the robot's action.
        actions: number of actions that the robot answered without error.
        distribution: count per commanded action, by its values as text.
        others: count of actions beyond the first MOST_KINDS kinds.
        intervals: s from one action to the next, float64.
        refused: count per reason.
        unanswered: number of actions without an answer.
        missing: number of actions whose outcome was not observed in time.
        episodes: number of finished episodes. reward: sum of rewards; NaN if the robot gives none.
    """

    channels: Sequence[Channel]
    actions: int = 0
    distribution: Counter[str] = field(default_factory=Counter)
    others: int = 0
    intervals: 'array[float]' = field(default_factory=lambda: array('d'))
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    missing: int = 0
    episodes: int = 0
    reward: float = math.nan
    _last_sent: float | None = None

    def sent(self, now: float) -> None:
        """Records that an action is sent at `now`, steady clock in s."""
        if self._last_sent is not None:
            self.intervals.append(now - self._last_sent)
        self._last_sent = now

    def done(self, values: ArrayLike, reward: float, ended: bool) -> None:
        """Records an executed action: commanded values (A,) in the robot's units, reward, whether an episode ended."""
        self.actions += 1
        name = self.name(values)
        if name in self.distribution or len(self.distribution) < MOST_KINDS:
            self.distribution[name] += 1
        else:
            self.others += 1
        self.episodes += ended
        if math.isfinite(reward):
            self.reward = reward + (0.0 if math.isnan(self.reward) else self.reward)

    def name(self, values: ArrayLike) -> str:
        """Returns an action as text, such as `pan=5 tilt=0`."""
        return action_text(self.channels, values)

    def line(self) -> str:
        """Returns the current counts in one line."""
        median = self._median()
        rate = f'{1.0 / median:.1f} a second' if median else 'no rate yet'
        return '   '.join([f'{self.actions:,} actions', rate, *self._troubles()])

    def summary(self) -> str:
        """Returns the statistics at the end of the run, as lines."""
        lines = [f'{self.actions:,} actions, {self._kinds()} different']
        for name, count in self.distribution.most_common(_SHOWN) if self._kinds() < self.actions else ():
            lines.append(f'  {name:<24} {count:>7,}  {count / self.actions:6.1%}')
        if self._kinds() > _SHOWN and len(lines) > 1:
            lines.append(f'  and {self._kinds() - _SHOWN:,} more')
        mean, median = self._mean(), self._median()
        if mean is not None and median is not None:
            lines.append(f'interval: mean {mean * 1e3:.1f} ms, median {median * 1e3:.1f} ms')
        if self.episodes:
            lines.append(f'{self.episodes:,} episodes, reward {self.reward:g}')
        lines += self._troubles()
        lines += [f'  refused {count} times: {reason}' for reason, count in self.refused.most_common(_SHOWN)]
        return '\n'.join(lines)

    def report(self) -> dict[str, Any]:
        """Returns the statistics as plain data for JSON; undefined values are None."""
        return {
            'actions': self.actions,
            'distribution': dict(self.distribution.most_common(_REPORTED)),
            'kinds': self._kinds(),
            'interval_seconds': {'mean': self._mean(), 'median': self._median()},
            'refused': dict(self.refused),
            'unanswered': self.unanswered,
            'missing_observations': self.missing,
            'episodes': self.episodes,
            'reward': None if math.isnan(self.reward) else self.reward,
        }

    def _kinds(self) -> int:
        # Every action beyond MOST_KINDS counts as a kind of its own.
        return len(self.distribution) + self.others

    def _mean(self) -> float | None:
        return float(np.mean(self.intervals)) if len(self.intervals) else None

    def _median(self) -> float | None:
        return float(np.median(self.intervals)) if len(self.intervals) else None

    def _troubles(self) -> list[str]:
        counts = {'refused': self.refused.total(), 'unanswered': self.unanswered, 'missing observations': self.missing}
        return [f'{count:,} {what}' for what, count in counts.items() if count]
