"""Detects a change of the world from the prediction errors of a frozen copy of a model.

The error of a model that learns falls because it learns; that of a frozen copy changes with the world alone. It is
standardised by mean and spread since the freeze, which follow it slowly and little by what is far off, and freed of its
correlation from step to step. Two sequential tests look for a lasting rise:

- `page_hinkley`: the sum of what exceeds the mean by 0.35 spreads, never below 0 (Page 1954; Hinkley 1971).
- `adwin`: the largest difference of means between the latest and the earlier steps of a window, for spans of 4, 8, 16
  ... steps (after Bifet and Gavalda 2007; with a window of fixed length, and a bound for numbers of known spread).

Not of a library: on the same standardised errors `river` 0.26 finds fewer gradual changes by Page-Hinkley, and abrupt
ones later by ADWIN, whose state is not to be had as numbers. An error that is high in a part of each episode hides
changes: give NaN for that part. Long after a fall `adwin` may take the return of the mean for a rise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import math

import numpy as np
import torch
from torch import Tensor

from cls_common.settings import setting, Settings
from cls_common.transition import Doubles

# Limits in spreads: of an error in mean and spread, so that bursts of up to a quarter of the steps spoil neither; of an
# error; and of what it has beyond the one before it, so that a change must last, and ten outliers in turn are no alarm.
_KEPT, _LIMIT, _FRESH = 2.0, 4.0, 1.5
# Steps over which mean and spread follow the errors. Shorter hides gradual changes, longer mistakes slow drift for one.
_MEMORY = 700
# Smallest spread as a share of the mean: rounding is no change.
_SMALLEST = 1e-9
# Larger errors can not be squared.
_LARGEST = 1e150
# Largest correlation from step to step that is removed.
_MOST_CORRELATED = 0.98


@dataclass(frozen=True, kw_only=True)
class ChangeDetectionSettings(Settings):
    """Settings of the detection of changes."""

    detector: str = setting('page_hinkley', 'test of the standardised error', choices=('page_hinkley', 'adwin'))
    threshold: float = setting(1.0, 'level of the test that raises an alarm; 1: as measured', low=0.1, high=100.0)
    calibration: int = setting(200, 'steps after a freeze that give mean and spread', low=20, high=100_000)
    quiet: int = setting(100, 'steps after an alarm before the next calibration', low=0, high=10**9)
    two_sided: bool = setting(False, 'a lasting fall of the error is a change too')


class Standardizer:
    """Mean, spread and correlation of errors since a freeze.

    Attributes:
        mean, variance, covariance: of errors, and of each with the one before it.
        last: standardised error before, not freed of correlation.
        count: errors that mean and variance rest on.
    """

    def __init__(self) -> None:
        self.mean = self.variance = self.covariance = self.last = 0.0
        self.count = 0

    def calibrate(self, errors: Doubles) -> None:
        """Measures errors, float64 (N,), robustly: those far from the median count as less far."""
        median = float(np.median(errors))
        reach = _KEPT * 1.4826 * float(np.median(np.abs(errors - median)))  # spreads of a normal distribution
        kept = np.clip(errors, median - reach, median + reach)
        self.mean, self.count = float(kept.mean()), len(kept)
        off = kept - self.mean
        self.variance, self.covariance = float(np.mean(off * off)), float(np.mean(off[1:] * off[:-1]))
        self.last = self._level(float(kept[-1]))

    def standardize(self, error: float) -> float:
        """Returns an error in spreads from the mean, freed of what the one before it predicts, and follows it."""
        level, last = self._level(error), self.last
        correlation = self.covariance / self.variance if self.variance > 0.0 else 0.0
        correlation = min(max(correlation, 0.0), _MOST_CORRELATED)
        self.count = min(self.count + 1, _MEMORY)
        off, off_before = (min(max(each, -_KEPT), _KEPT) * self._spread for each in (level, last))
        self.mean += off / self.count
        self.variance += (off * off - self.variance) / self.count
        self.covariance += (off * off_before - self.covariance) / self.count
        self.last = level
        fresh = (level - correlation * last) / math.sqrt(1.0 - correlation * correlation)
        return min(max(fresh, -_FRESH), _FRESH)

    @property
    def _spread(self) -> float:
        return max(math.sqrt(self.variance), _SMALLEST * abs(self.mean))

    def _level(self, error: float) -> float:
        off, spread = error - self.mean, self._spread
        if abs(off) >= _LIMIT * spread:
            return math.copysign(_LIMIT, off) if off else 0.0
        return off / spread


class _PageHinkley:
    """Sums of what exceeds the mean, and of what falls short of it. `level` 1 is the bound of an alarm."""

    _SLACK, _BOUND = 0.35, 13.0

    def __init__(self, two_sided: bool) -> None:
        self._two_sided = two_sided
        self.numbers = np.zeros(2)

    def add(self, error: float) -> float:
        """Adds a standardised error; returns the level."""
        rise, fall = self.numbers.tolist()
        self.numbers = np.array([max(0.0, rise + error - self._SLACK), max(0.0, fall - error - self._SLACK)])
        return float(self.numbers.max() if self._two_sided else self.numbers[0]) / self._BOUND


class _Adwin:
    """The latest standardised errors, float64, at most _LENGTH. `level` 1 is the bound of an alarm."""

    _LENGTH, _BOUND, _FEWEST = 512, 4.0, 4

    def __init__(self, two_sided: bool) -> None:
        self._two_sided = two_sided
        self.numbers = np.zeros(0)

    def add(self, error: float) -> float:
        """Adds a standardised error; returns the level."""
        self.numbers = np.append(self.numbers, error)[-self._LENGTH :]
        sums, length = np.cumsum(self.numbers[::-1]), len(self.numbers)
        late = self._FEWEST * 2 ** np.arange(max(0, (length // (2 * self._FEWEST)).bit_length()))
        if not late.size:
            return 0.0
        differences = sums[late - 1] / late - (sums[-1] - sums[late - 1]) / (length - late)
        levels = differences / np.sqrt(1.0 / late + 1.0 / (length - late)) / self._BOUND
        return float(max(0.0, (np.abs(levels) if self._two_sided else levels).max()))


# An alarm needs so many times the highest level of the calibration: where errors come in bursts, such as at the
# start of each episode, that is more than the bound for noise.
_HEADROOM = 1.5
_TESTS: dict[str, type[_PageHinkley] | type[_Adwin]] = {'page_hinkley': _PageHinkley, 'adwin': _Adwin}


class ChangeDetector:
    """Raises an alarm once for each change; then it is quiet, and calibrates itself on the changed world.

    Attributes:
        steps: errors received. ignored: those that were left out.
        alarms: raised so far. last_alarm_step: `steps` at the last one; -1: none.
        level: of the test, 0 to `threshold` and above; 0 while it calibrates, held while it is quiet.
        is_changed: from an alarm until the next calibration or freeze.
    """

    def __init__(self, settings: ChangeDetectionSettings | None = None) -> None:
        self.settings = settings or ChangeDetectionSettings()
        self.steps = self.ignored = self.alarms = 0
        self.last_alarm_step = -1
        self.refreeze()

    def refreeze(self) -> None:
        """Begins another calibration: the copy was frozen again, or replaced. Alarms are still counted."""
        self.level, self._quiet_left, self.is_changed = 0.0, 0, False
        self._calibration: list[float] = []
        self._standardizer = Standardizer()
        self._test = self._new_test()
        # Level of the test alone that counts as 1.
        self._bound = 1.0

    def _new_test(self) -> _PageHinkley | _Adwin:
        return _TESTS[self.settings.detector](self.settings.two_sided)

    @property
    def is_calibrating(self) -> bool:
        """Whether it gathers the first errors since a freeze or an alarm, and can raise none."""
        return not self.is_changed and not self._standardizer.count

    def observe(self, error: float) -> bool:
        """Takes the prediction error of the frozen copy in one step; returns whether an alarm is raised by it.

        An error that is not finite, or is 1e150 or more, is counted and has no other effect.
        """
        self.steps += 1
        if not abs(error) < _LARGEST:
            self.ignored += 1
            return False
        if self.is_changed:
            self._quiet_left -= 1
            if self._quiet_left >= 0:
                return False
            self.refreeze()
        if self.is_calibrating:
            self._calibration.append(float(error))
            if len(self._calibration) == self.settings.calibration:
                self._calibrate()
            return False
        self.level = self._test.add(self._standardizer.standardize(float(error))) / self._bound
        if self.level < self.settings.threshold:
            return False
        self.alarms += 1
        self.last_alarm_step, self.is_changed, self._quiet_left = self.steps, True, self.settings.quiet
        return True

    def _calibrate(self) -> None:
        errors, self._calibration = self._calibration, []
        self._standardizer.calibrate(np.array(errors))
        highest = max(self._test.add(self._standardizer.standardize(error)) for error in errors)
        self._bound = max(1.0, _HEADROOM * highest)
        self._standardizer.calibrate(np.array(errors))
        self._test = self._new_test()

    def metrics(self) -> dict[str, float]:
        """Returns the number of alarms, the step of the last one (NaN: none), the level, and errors left out."""
        last = float(self.last_alarm_step) if self.alarms else math.nan
        return {
            'change_alarms': float(self.alarms), 'change_last_alarm': last, 'change_level': self.level,
            'change_ignored': float(self.ignored),
        }  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors, int64 and float64, from which it goes on exactly as before."""
        own = self._standardizer
        counts = [self.steps, self.ignored, self.alarms, self.last_alarm_step, self._quiet_left, own.count]
        numbers = [own.mean, own.variance, own.covariance, own.last, self.level, self._bound]
        return {
            'change.counts': torch.tensor([*counts, int(self.is_changed)]),
            'change.numbers': torch.tensor(numbers, dtype=torch.float64),
            'change.calibration': torch.tensor(self._calibration, dtype=torch.float64),
            'change.test': torch.from_numpy(self._test.numbers.copy()),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state of a detector of the same settings; raises KeyError or ValueError for another one's."""
        *counts, is_changed = state['change.counts'].tolist()
        mean, variance, covariance, last, level, bound = state['change.numbers'].tolist()
        self.refreeze()
        own = self._standardizer
        self.steps, self.ignored, self.alarms, self.last_alarm_step, self._quiet_left, own.count = counts
        own.mean, own.variance, own.covariance, own.last = mean, variance, covariance, last
        self.level, self._bound, self.is_changed = level, bound, bool(is_changed)
        self._calibration = state['change.calibration'].tolist()
        self._test.numbers = state['change.test'].numpy().copy()
