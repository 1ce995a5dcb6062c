"""The gate on sleep: every night is judged by transitions that it never saw, and taken back where it did harm.

Both learners are scored on the probes before and after, as they act: averaged weights, raw units, against copying z.
The change of the mean is paired, so what all models find hard cancels out. Its interval comes from resampling whole
pieces of consecutive probes (Efron 1979), whose errors are alike (learning probe, 7.9 and 9).
"""

from dataclasses import dataclass
import math

import numpy as np
import torch

from ..learners.learner import Learner, squared_error
from ..memory.probes import PIECE, SMALLEST
from ..types import Batch, Doubles

# Of the mean change; a tolerance alone would fire on noise, an interval alone on trifles.
HARM = -0.02
_RESAMPLES = 2000


@dataclass(frozen=True)
class Scores:
    """One learner's mean squared errors, raw units, float64 (P, PIECE): P pieces of consecutive probes.

    Attributes:
        errors: of its predictions. exchanged: with the action of another probe. copied: of predicting z.
    """

    errors: Doubles
    exchanged: Doubles
    copied: Doubles

    @property
    def skill(self) -> float:
        """1 - mean error / mean error of copying z; NaN where nothing moved."""
        return 1.0 - _ratio(self.errors, self.copied)

    def action_use(self) -> Doubles:
        """Returns the skill lost with exchanged actions, by piece, float64 (P,)."""
        return _by_piece(self.exchanged - self.errors, self.copied)


@dataclass(frozen=True)
class Verdict:
    """What a night did to the skill on the probes.

    Attributes:
        probes: how many there were. wanted: how many there are to be, 0 without a gate.
        skill_before, skill_after, fast_before, fast_after: NaN without probes.
        change: mean over the probes of (error before - error after) / mean error of copying z, of Slow.
        low, high: 95 % interval of the change.
        rolled_back: the night did harm and is not kept.
    """

    probes: int = 0
    wanted: int = 0
    skill_before: float = math.nan
    skill_after: float = math.nan
    fast_before: float = math.nan
    fast_after: float = math.nan
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    rolled_back: bool = False

    def text(self) -> str:
        """Returns it in words."""
        if not self.wanted:
            return f'not judged: memory has no {SMALLEST} probes'
        if self.probes < SMALLEST:
            return f'not judged: {self.probes} probes of {SMALLEST} so far'
        change = f'{self.change:+.3f} [{self.low:+.3f}, {self.high:+.3f}]'
        return f'skill on {self.probes} probes {self.skill_before:.3f} to {self.skill_after:.3f}: {change}'


@torch.no_grad()
def score(learner: Learner, probes: Batch) -> Scores:
    """Scores a learner as it acts; probes in order of life, whole pieces."""
    batch = probes.to(learner.normalizer.device)
    # Half of life away, so that every action comes from another piece.
    exchanged = torch.roll(batch.action, len(batch.action) // 2, 0)
    predictions = learner.predict(batch.z, batch.action), learner.predict(batch.z, exchanged), batch.z
    errors = [squared_error(p, batch.z_next).cpu().double().numpy().reshape(-1, PIECE) for p in predictions]
    return Scores(*errors)


def interval(values: Doubles, generator: np.random.Generator) -> tuple[float, float, float]:
    """Returns the mean over pieces (P,) and its 95 % interval, by resampling pieces."""
    drawn = generator.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def judge(
    slow: tuple[Scores, Scores], fast: tuple[Scores, Scores], wanted: int, is_open: bool, generator: np.random.Generator
) -> Verdict:
    """Judges a night.

    Args:
        slow, fast: before and after it.
        wanted: probes that there are to be.
        is_open: whether every night is kept all the same.
    """
    before, after = slow
    change, low, high = interval(_by_piece(before.errors - after.errors, before.copied), generator)
    is_harm = before.errors.size >= SMALLEST and change < HARM and high < 0
    return Verdict(
        before.errors.size, wanted, before.skill, after.skill, fast[0].skill, fast[1].skill, change, low, high,
        is_harm and not is_open,
    )  # fmt: skip


def _by_piece(values: Doubles, copied: Doubles) -> Doubles:
    scale = copied.mean()
    found: Doubles = values.mean(axis=1) / scale if scale > 0 else np.full(len(values), np.nan)
    return found


def _ratio(errors: Doubles, copied: Doubles) -> float:
    scale = float(copied.mean())
    return float(errors.mean()) / scale if scale > 0 else math.nan
