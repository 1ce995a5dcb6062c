"""The gate on sleep: scores each sleep on held-out transitions and rolls it back where it did harm.

Both learners are scored before and after with the weights that act (averaged, raw units), relative to copying z. The
change of the mean is paired, which removes the variance between transitions. Its interval comes from a bootstrap over
segments of consecutive transitions (Efron 1979), whose errors are correlated, and is widened by Student's t for few
segments: the first sleep comes before the held-out set is complete, and can do the most harm.
"""

from dataclasses import dataclass
import math

import numpy as np
import torch

from cls_common.transition import Doubles

from ..brain import Verdict
from ..learners.learner import Learner, squared_error
from ..types import Batch
from .holdout import SEGMENT, SMALLEST

# Largest loss of skill that is kept. Harm needs both: a mean below it and an interval below 0.
HARM = -0.02
# Fewest segments to judge by: the spread of fewer is unknown.
LEAST_SEGMENTS = 8
_RESAMPLES = 2000
_METRICS = {
    'held_out': 'held_out',
    'skill_before': 'skill_before',
    'skill_after': 'skill_after',
    'fast_before': 'fast_before',
    'fast_after': 'fast_after',
    'change': 'change',
    'change_low': 'low',
    'change_high': 'high',
}


@dataclass(frozen=True)
class Scores:
    """Mean squared errors of one learner, raw units, float64 (P, S): P segments of S held-out transitions.

    S is SEGMENT; fewer for a model with a state, which is rebuilt from the first steps of a segment.

    Attributes:
        errors: of its predictions. exchanged: with the action of another transition. copied: of predicting z.
    """

    errors: Doubles
    exchanged: Doubles
    copied: Doubles

    @property
    def skill(self) -> float:
        """1 - mean error / mean error of copying z; NaN where z never changes."""
        return 1.0 - _ratio(self.errors, self.copied)

    def action_use(self) -> Doubles:
        """Returns the skill lost with exchanged actions, by segment, float64 (P,)."""
        return _by_segment(self.exchanged - self.errors, self.copied)


@dataclass(frozen=True)
class Judgement:
    """Change of skill on the held-out transitions by one sleep.

    Attributes:
        held_out: their number. wanted: their number once complete, 0 without a gate.
        skill_before, skill_after, fast_before, fast_after: NaN without held-out transitions.
        change: mean of (error before - error after) / mean error of copying z, of Slow.
        low, high: 95 % interval of the change.
        fast_change, fast_low, fast_high: the same for Fast.
        rolled_back: the sleep did harm to either learner and is not kept.
    """

    held_out: int = 0
    wanted: int = 0
    skill_before: float = math.nan
    skill_after: float = math.nan
    fast_before: float = math.nan
    fast_after: float = math.nan
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    fast_change: float = math.nan
    fast_low: float = math.nan
    fast_high: float = math.nan
    rolled_back: bool = False

    def text(self) -> str:
        """Returns the result in words."""
        if not self.wanted:
            return f'not judged: memory has no room for {SMALLEST} held-out transitions'
        if self.held_out < LEAST_SEGMENTS * SEGMENT:
            return f'not judged: {self.held_out} held-out transitions of {LEAST_SEGMENTS * SEGMENT} needed'
        slow = f'{self.skill_before:.3f} to {self.skill_after:.3f}: {_range(self.change, self.low, self.high)}'
        fast = f'fast {_range(self.fast_change, self.fast_low, self.fast_high)}'
        return f'skill on {self.held_out} held-out transitions {slow}, {fast}'

    def verdict(self) -> Verdict:
        """Returns the verdict in the form of the brain contract."""
        metrics = {name: getattr(self, field) for name, field in _METRICS.items()}
        skills = (
            f'slow {self.skill_before:.2f} -> {self.skill_after:.2f}, '
            f'fast {self.fast_before:.2f} -> {self.fast_after:.2f}'
        )
        summary = f'{skills} on {self.held_out} held-out transitions' if self.held_out else ''
        return Verdict(self.held_out >= LEAST_SEGMENTS * SEGMENT, self.rolled_back, self.text(), summary, metrics)


@torch.no_grad()
def score(learner: Learner, held_out: Batch) -> Scores:
    """Scores the weights of a learner that act on held-out transitions.

    A model with a state runs along each segment and is scored on the steps after its `context`, at least on the last.

    Args:
        held_out: P whole segments by rising sequence: z, z_next (P * SEGMENT, D), action (P * SEGMENT, A).
    """
    batch = held_out.to(learner.normalizer.device)
    burn_in = min(learner.ema.context, SEGMENT - 1)
    # Shifted by half of the set, so that every action comes from another segment; by whole segments with a state.
    half = len(batch.action) // 2
    exchanged = torch.roll(batch.action, half - half % SEGMENT if burn_in else half, 0)
    predictions = _predict(learner, batch.z, batch.action), _predict(learner, batch.z, exchanged), batch.z
    errors = [squared_error(p, batch.z_next).cpu().double().numpy().reshape(-1, SEGMENT) for p in predictions]
    return Scores(*(each[:, burn_in:] for each in errors))


def _predict(learner: Learner, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Predicts (P * SEGMENT, D) from z (P * SEGMENT, D) raw and action (P * SEGMENT, A), segment by segment."""
    if not learner.ema.context:
        return learner.predict(z, action)
    segments = (part.view(-1, SEGMENT, part.shape[1]) for part in (z, action))
    return learner.predict_along(*segments).flatten(0, 1)


def interval(values: Doubles, generator: np.random.Generator) -> tuple[float, float, float]:
    """Returns the mean of values (P,) and its 95 % interval, by the bootstrap."""
    drawn = generator.integers(len(values), size=(_RESAMPLES, len(values)))
    mean = values.mean()
    low, high = mean + (np.quantile(values[drawn].mean(axis=1), (0.025, 0.975)) - mean) * _widening(len(values))
    return float(mean), float(low), float(high)


def interval_of_difference(new: Doubles, old: Doubles, generator: np.random.Generator) -> tuple[float, float, float]:
    """Returns mean(new) - mean(old) of independent values (P,) and (Q,), and its 95 % interval, by the bootstrap."""
    drawn = [v[generator.integers(len(v), size=(_RESAMPLES, len(v)))].mean(axis=1) for v in (new, old)]
    mean = new.mean() - old.mean()
    low, high = mean + (np.quantile(drawn[0] - drawn[1], (0.025, 0.975)) - mean) * _widening(min(len(new), len(old)))
    return float(mean), float(low), float(high)


def _widening(count: int) -> float:
    """Returns the factor, 1 or more, by which a bootstrap interval of `count` values is too narrow."""
    degrees, z = max(count - 1, 1), 1.96
    # Student's t over the normal's z to second order (Abramowitz and Stegun 1964, 26.7.5), and the spread's own bias.
    t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    return t / z * math.sqrt(count / degrees)


def judge(
    slow: tuple[Scores, Scores], fast: tuple[Scores, Scores], wanted: int, is_open: bool, generator: np.random.Generator
) -> Judgement:
    """Compares the scores before and after a sleep.

    Args:
        slow, fast: scores before and after.
        wanted: number of held-out transitions once complete.
        is_open: whether every sleep is kept, whatever its scores.
    """
    changes = [
        interval(_by_segment(before.errors - after.errors, before.copied), generator) for before, after in (slow, fast)
    ]
    before, after = slow
    is_enough = len(before.errors) >= LEAST_SEGMENTS
    is_harm = is_enough and any(change < HARM and high < 0 for change, _, high in changes)
    return Judgement(
        len(before.errors) * SEGMENT,
        wanted,
        before.skill,
        after.skill,
        fast[0].skill,
        fast[1].skill,
        *changes[0],
        *changes[1],
        rolled_back=is_harm and not is_open,
    )


def verdict_of_errors(
    before: Doubles, after: Doubles, copied: float, what: str, is_open: bool, generator: np.random.Generator
) -> Verdict:
    """Compares the errors of predictions before and after a sleep, as a share of those of predicting no change.

    Args:
        before, after: errors of the same held-out predictions (P,). copied: mean error of predicting no change, > 0.
        what: plural noun of what is predicted, for the text.
        is_open: whether every sleep is kept, whatever its errors.
    """
    if len(before) < LEAST_SEGMENTS:
        return Verdict(text=f'not judged: {len(before)} held-out {what} of {LEAST_SEGMENTS} needed')
    change, low, high = interval((before - after) / copied, generator)
    is_harm = change < HARM and high < 0 and not is_open
    metrics = {
        'error_before_sleep': float(before.mean()) / copied, 'error_after_sleep': float(after.mean()) / copied,
        'change': change, 'change_low': low, 'change_high': high,
    }  # fmt: skip
    figures = f'{metrics["error_before_sleep"]:.3f} to {metrics["error_after_sleep"]:.3f}'
    text = f'error on {len(after)} held-out {what}, as a share of predicting no change, {figures}'
    return Verdict(True, is_harm, f'{text}: {_range(change, low, high)}', figures, metrics)


def _by_segment(values: Doubles, copied: Doubles) -> Doubles:
    scale = copied.mean()
    found: Doubles = values.mean(axis=1) / scale if scale > 0 else np.full(len(values), np.nan)
    return found


def _range(change: float, low: float, high: float) -> str:
    return f'{change:+.3f} [{low:+.3f}, {high:+.3f}]'


def _ratio(errors: Doubles, copied: Doubles) -> float:
    scale = float(copied.mean())
    return float(errors.mean()) / scale if scale > 0 else math.nan
