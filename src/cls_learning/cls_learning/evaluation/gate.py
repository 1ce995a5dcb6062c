"""The gate on sleep: every sleep is judged by transitions that it never saw, and rolled back where it did harm.

Both learners are scored on the probes before and after, as they act: averaged weights, raw units, against copying z.
The change of the mean is paired, so what all models find hard cancels out. Its interval comes from resampling whole
pieces of consecutive probes (Efron 1979), whose errors are alike, and is widened as Student's t is for few pieces: the
first sleep comes before all probes are there, and can do the most harm.
"""

from dataclasses import dataclass
import math

import numpy as np
import torch

from cls_common.transition import Doubles

from ..brain import Verdict
from ..learners.learner import Learner, squared_error
from ..types import Batch
from .holdout import PIECE, SMALLEST

# Of the mean change; a tolerance alone would fire on noise, an interval alone on trifles.
HARM = -0.02
# Fewer pieces of probes judge nothing: of so few not even the spread is known.
LEAST_PIECES = 8
_RESAMPLES = 2000
_METRICS = {
    'held_out': 'probes', 'skill_before': 'skill_before', 'skill_after': 'skill_after', 'fast_before': 'fast_before',
    'fast_after': 'fast_after', 'change': 'change', 'change_low': 'low', 'change_high': 'high',
}  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """One learner's mean squared errors, raw units, float64 (P, PIECE): P pieces of consecutive probes.

    A model with a state has no score on the first steps of a piece, from which its state comes.

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
class Judgement:
    """What a night did to the skill on the probes.

    Attributes:
        probes: how many there were. wanted: how many there are to be, 0 without a gate.
        skill_before, skill_after, fast_before, fast_after: NaN without probes.
        change: mean over the probes of (error before - error after) / mean error of copying z, of Slow.
        low, high: 95 % interval of the change.
        fast_change, fast_low, fast_high: the same of Fast.
        rolled_back: the sleep did harm to either and is not kept.
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
    fast_change: float = math.nan
    fast_low: float = math.nan
    fast_high: float = math.nan
    rolled_back: bool = False

    def text(self) -> str:
        """Returns it in words."""
        if not self.wanted:
            return f'not judged: memory has no {SMALLEST} probes'
        if self.probes < LEAST_PIECES * PIECE:
            return f'not judged: {self.probes} probes of {LEAST_PIECES * PIECE} needed'
        slow = f'{self.skill_before:.3f} to {self.skill_after:.3f}: {_range(self.change, self.low, self.high)}'
        fast = f'fast {_range(self.fast_change, self.fast_low, self.fast_high)}'
        return f'skill on {self.probes} probes {slow}, {fast}'

    def verdict(self) -> Verdict:
        """Returns it as the contract of a brain has it."""
        metrics = {name: getattr(self, field) for name, field in _METRICS.items()}
        skills = (
            f'slow {self.skill_before:.2f} -> {self.skill_after:.2f}, '
            f'fast {self.fast_before:.2f} -> {self.fast_after:.2f}'
        )
        summary = f'{skills} on {self.probes} held-out transitions' if self.probes else ''
        return Verdict(self.probes >= LEAST_PIECES * PIECE, self.rolled_back, self.text(), summary, metrics)


@torch.no_grad()
def score(learner: Learner, probes: Batch) -> Scores:
    """Scores a learner as it acts; probes in order of life, whole pieces.

    A model with a state is led along each piece and scored on the steps after its `context`, at least on the last.
    """
    batch = probes.to(learner.normalizer.device)
    burn_in = min(learner.acting.context, PIECE - 1)
    # Half of life away, so that every action comes from another piece; with a state by whole pieces.
    half = len(batch.action) // 2
    exchanged = torch.roll(batch.action, half - half % PIECE if burn_in else half, 0)
    predictions = _predict(learner, batch.z, batch.action), _predict(learner, batch.z, exchanged), batch.z
    errors = [squared_error(p, batch.z_next).cpu().double().numpy().reshape(-1, PIECE) for p in predictions]
    return Scores(*(each[:, burn_in:] for each in errors))


def _predict(learner: Learner, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Predicts (P * PIECE, D) from z (P * PIECE, D) raw and action (P * PIECE, A), piece by piece."""
    if not learner.acting.context:
        return learner.predict(z, action)
    pieces = (part.view(-1, PIECE, part.shape[1]) for part in (z, action))
    return learner.predict_along(*pieces).flatten(0, 1)


def interval(values: Doubles, generator: np.random.Generator) -> tuple[float, float, float]:
    """Returns the mean over pieces (P,) and its 95 % interval, by resampling pieces."""
    drawn = generator.integers(len(values), size=(_RESAMPLES, len(values)))
    mean = values.mean()
    low, high = mean + (np.quantile(values[drawn].mean(axis=1), (0.025, 0.975)) - mean) * _widening(len(values))
    return float(mean), float(low), float(high)


def _widening(pieces: int) -> float:
    """Returns by how much resampling so few pieces makes an interval too narrow, 1 or more."""
    degrees, z = max(pieces - 1, 1), 1.96
    # Student's t over the normal's z to second order (Abramowitz and Stegun 1964, 26.7.5), and the spread's own bias.
    t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    return t / z * math.sqrt(pieces / degrees)


def judge(
    slow: tuple[Scores, Scores], fast: tuple[Scores, Scores], wanted: int, is_open: bool, generator: np.random.Generator
) -> Judgement:
    """Judges a night.

    Args:
        slow, fast: before and after it.
        wanted: probes that there are to be.
        is_open: whether every night is kept all the same.
    """
    changes = [
        interval(_by_piece(before.errors - after.errors, before.copied), generator) for before, after in (slow, fast)
    ]
    before, after = slow
    is_enough = len(before.errors) >= LEAST_PIECES
    is_harm = is_enough and any(change < HARM and high < 0 for change, _, high in changes)
    return Judgement(
        len(before.errors) * PIECE, wanted, before.skill, after.skill, fast[0].skill, fast[1].skill,
        *changes[0], *changes[1], rolled_back=is_harm and not is_open,
    )  # fmt: skip


def _by_piece(values: Doubles, copied: Doubles) -> Doubles:
    scale = copied.mean()
    found: Doubles = values.mean(axis=1) / scale if scale > 0 else np.full(len(values), np.nan)
    return found


def _range(change: float, low: float, high: float) -> str:
    return f'{change:+.3f} [{low:+.3f}, {high:+.3f}]'


def _ratio(errors: Doubles, copied: Doubles) -> float:
    scale = float(copied.mean())
    return float(errors.mean()) / scale if scale > 0 else math.nan
