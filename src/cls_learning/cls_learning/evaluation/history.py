"""How both learners did on the probes, morning after morning: skill, forgetting, and whether actions count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Doubles

from ..types import Batch
from .gate import interval, Scores

# Nights that are remembered for the best of each stretch, and pieces of probes in one stretch of life.
_REMEMBERED = 64
_STRETCH = 8
# The alarm is no use for a model that predicts nothing yet, and is over when actions clearly count again.
_LEAST_SKILL, _COUNTS_AGAIN, _LEAST_NIGHTS = 0.05, 0.02, 2
# A skill that is as good as none.
_NO_SKILL = 0.02
# Actions are exchanged in vain where they are all alike: this share of the channel's range is a difference.
_DIFFERS = 0.05
_FIGURES = ('skill', 'fast_skill', 'action_use', 'fast_action_use')
# Files hold finite numbers only; no figure and no error is as low as this.
_UNKNOWN = -1e9
_COUNTS = ('nights', 'rolled_back', 'rolled_back_at')


def _nothing() -> Doubles:
    return np.zeros((0, 0))


@dataclass(frozen=True)
class EvaluationHistory:
    """What is known of all nights so far; a new one for each night, so that one can be taken back.

    Attributes:
        skill, fast_skill: on the probes, at the last evening or morning; NaN before the first.
        action_use, fast_action_use: skill lost when the probes' actions are exchanged among them.
        ignores_actions: the alarm: exchanged actions cost Slow nothing, though it has skill.
        nights: kept. rolled_back: by the gate; the last one after the step `rolled_back_at`.
    """

    skill: float = math.nan
    fast_skill: float = math.nan
    action_use: float = math.nan
    fast_action_use: float = math.nan
    ignores_actions: bool = False
    nights: int = 0
    rolled_back: int = 0
    rolled_back_at: int = -1
    _keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    _copied: Doubles = field(default_factory=lambda: np.zeros(0))
    _errors: Doubles = field(default_factory=_nothing)  # (P, nights), Slow's on each piece, NaN before it was lived

    def after_sleep(
        self, slow: Scores, fast: Scores, keys: np.ndarray, varies: bool, is_enough: bool,
        generator: np.random.Generator,
    ) -> 'EvaluationHistory':  # fmt: skip
        """Adds a morning.

        Args:
            keys: names of the pieces of probes, int64 (P,).
            varies: whether exchanging the probes' actions changes them. is_enough: whether there are enough probes.
        """
        known = {int(key): row for key, row in zip(self._keys, self._errors)}
        missing = np.full(self._errors.shape[1], np.nan)
        past = np.stack([known.get(int(key), missing) for key in keys])
        errors = np.concatenate([past, slow.errors.mean(axis=1, keepdims=True)], axis=1)[:, -_REMEMBERED:]
        use, low, _ = interval(slow.action_use(), generator)
        can_tell = varies and is_enough and self.nights + 1 >= _LEAST_NIGHTS
        bound = _COUNTS_AGAIN if self.ignores_actions else 0.0
        return replace(
            self, skill=slow.skill, fast_skill=fast.skill, action_use=use,
            fast_action_use=float(fast.action_use().mean()), nights=self.nights + 1,
            ignores_actions=can_tell and slow.skill > _LEAST_SKILL and low <= bound,
            _keys=keys, _copied=slow.copied.mean(axis=1), _errors=errors,
        )  # fmt: skip

    def after_harm(self, slow: Scores, fast: Scores, sequence: int) -> 'EvaluationHistory':
        """Counts a night that the gate took back; the same one, slept again after a restart, only once."""
        is_new = sequence != self.rolled_back_at
        return replace(
            self, skill=slow.skill, fast_skill=fast.skill, action_use=float(slow.action_use().mean()),
            fast_action_use=float(fast.action_use().mean()), rolled_back=self.rolled_back + is_new,
            rolled_back_at=sequence,
        )  # fmt: skip

    @property
    def learns_nothing(self) -> bool:
        """Whether after two sleeps neither learner predicts better than "nothing changes"."""
        return self.nights + self.rolled_back >= _LEAST_NIGHTS and max(self.skill, self.fast_skill) < _NO_SKILL

    @property
    def forgetting(self) -> float:
        """Mean over stretches of life of their best skill of any morning minus the present one, 0 or more.

        Each morning is compared on the probes that were there then, so that new ones cost and save nothing. A best of
        many noisy mornings lies above their mean: a model that only wavers forgets a little by this measure too.
        NaN before the first morning.
        """
        if not self._errors.size:
            return math.nan
        stretches = np.array_split(np.arange(len(self._keys)), max(1, len(self._keys) // _STRETCH))
        return float(np.mean([self._forgotten(stretch) for stretch in stretches]))

    def _forgotten(self, stretch: np.ndarray) -> float:
        errors, scale = self._errors[stretch], float(self._copied[stretch].mean())
        # Of a few pieces alone the best would be chance.
        mornings = errors[:, 2 * np.isfinite(errors).sum(axis=0) >= len(stretch)]
        lost = np.nanmean(errors[:, -1:] - mornings, axis=0)
        return float(lost.max(initial=0.0)) / scale if scale > 0 else 0.0

    def state(self) -> dict[str, Tensor]:
        """Returns everything by name."""
        return {
            'mornings.figures': _finite(np.array([getattr(self, name) for name in _FIGURES])),
            'mornings.counts': torch.tensor([int(getattr(self, name)) for name in (*_COUNTS, 'ignores_actions')]),
            'mornings.keys': torch.from_numpy(self._keys.copy()),
            'mornings.copied': _finite(self._copied),
            'mornings.errors': _finite(self._errors),
        }

    @classmethod
    def load(cls, state: Mapping[str, Tensor]) -> 'EvaluationHistory':
        """Takes everything back; none where it was written before there were probes."""
        if 'mornings.figures' not in state:
            return cls()
        *counts, ignores = state['mornings.counts'].tolist()
        values: dict[str, Any] = dict(zip(_FIGURES, _known(state['mornings.figures']).tolist())) | dict(
            zip(_COUNTS, counts)
        )
        return cls(
            **values, ignores_actions=bool(ignores), _keys=state['mornings.keys'].numpy().copy(),
            _copied=_known(state['mornings.copied']), _errors=_known(state['mornings.errors']),
        )  # fmt: skip


def _finite(values: Doubles) -> Tensor:
    return torch.from_numpy(np.nan_to_num(values, nan=_UNKNOWN))


def _known(values: Tensor) -> Doubles:
    found: Doubles = values.numpy()
    return np.where(found == _UNKNOWN, np.nan, found)


def actions_vary(probes: Batch, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether most probes get an action of another size when actions are exchanged; low, high (A,) robot units."""
    action = probes.action.numpy()
    distance = np.abs(action - np.roll(action, len(action) // 2, axis=0))
    return bool(np.mean((distance > _DIFFERS * (high - low)).any(axis=1)) >= 0.5)
