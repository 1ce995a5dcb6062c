"""Scores on held-out transitions after each sleep: skill, forgetting, and use of actions."""

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

# Sleeps whose errors are kept, to find the best of each stretch; and segments of held-out transitions in one stretch.
_REMEMBERED = 64
_STRETCH = 8
# The alarm needs a model with some skill and two sleeps, and ends when the interval of the action use is above 0.02.
_LEAST_SKILL, _COUNTS_AGAIN, _LEAST_SLEEPS = 0.05, 0.02, 2
# Skill below which a model has learned nothing.
_NO_SKILL = 0.02
# Exchanging actions tests nothing where all are alike: difference of two actions, as a share of the channel's range.
_DIFFERS = 0.05
_FIGURES = ('skill', 'fast_skill', 'action_use', 'fast_action_use')
# Stored in place of NaN, since files hold finite numbers only; no score and no error is as low.
_UNKNOWN = -1e9
_COUNTS = ('sleeps', 'rolled_back', 'rolled_back_at')


def _nothing() -> Doubles:
    return np.zeros((0, 0))


@dataclass(frozen=True)
class EvaluationHistory:
    """Scores of all sleeps so far. Immutable: a sleep that is rolled back restores the object from before.

    Attributes:
        skill, fast_skill: on the held-out transitions, after the last sleep; NaN before the first.
        action_use, fast_action_use: skill lost when the held-out transitions exchange their actions.
        ignores_actions: alarm: Slow has skill, and exchanged actions do not lower it.
        sleeps: number kept. rolled_back: number that the gate refused, the last one after step `rolled_back_at`.
    """

    skill: float = math.nan
    fast_skill: float = math.nan
    action_use: float = math.nan
    fast_action_use: float = math.nan
    ignores_actions: bool = False
    sleeps: int = 0
    rolled_back: int = 0
    rolled_back_at: int = -1
    _keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    _copied: Doubles = field(default_factory=lambda: np.zeros(0))
    _errors: Doubles = field(default_factory=_nothing)  # (P, sleeps) of Slow by segment, NaN before it was held out

    def after_sleep(
        self,
        slow: Scores,
        fast: Scores,
        keys: np.ndarray,
        varies: bool,
        is_enough: bool,
        generator: np.random.Generator,
    ) -> 'EvaluationHistory':
        """Returns the history with the scores after one more sleep.

        Args:
            slow, fast: scores of P segments, float64 (P, S) each.
            keys: names of the segments, int64 (P,).
            varies: whether an exchange of actions changes them. is_enough: whether the held-out set is complete.
        """
        known = {int(key): row for key, row in zip(self._keys, self._errors)}
        missing = np.full(self._errors.shape[1], np.nan)
        past = np.stack([known.get(int(key), missing) for key in keys])
        errors = np.concatenate([past, slow.errors.mean(axis=1, keepdims=True)], axis=1)[:, -_REMEMBERED:]
        use, low, _ = interval(slow.action_use(), generator)
        can_tell = varies and is_enough and self.sleeps + 1 >= _LEAST_SLEEPS
        bound = _COUNTS_AGAIN if self.ignores_actions else 0.0
        return replace(
            self,
            skill=slow.skill,
            fast_skill=fast.skill,
            action_use=use,
            fast_action_use=float(fast.action_use().mean()),
            sleeps=self.sleeps + 1,
            ignores_actions=can_tell and slow.skill > _LEAST_SKILL and low <= bound,
            _keys=keys,
            _copied=slow.copied.mean(axis=1),
            _errors=errors,
        )

    def after_harm(self, slow: Scores, fast: Scores, sequence: int) -> 'EvaluationHistory':
        """Returns the history with one more sleep rolled back; a sleep repeated after a restart counts once."""
        is_new = sequence != self.rolled_back_at
        return replace(
            self,
            skill=slow.skill,
            fast_skill=fast.skill,
            action_use=float(slow.action_use().mean()),
            fast_action_use=float(fast.action_use().mean()),
            rolled_back=self.rolled_back + is_new,
            rolled_back_at=sequence,
        )

    @property
    def learns_nothing(self) -> bool:
        """Whether after two sleeps neither learner predicts better than copying z."""
        return self.sleeps + self.rolled_back >= _LEAST_SLEEPS and max(self.skill, self.fast_skill) < _NO_SKILL

    @property
    def forgetting(self) -> float:
        """Mean over stretches of the run of the best skill after any sleep minus the present skill, 0 or more.

        Each sleep is compared on the segments that were held out at the time, so that new ones have no effect. The
        best of many noisy scores lies above their mean: a model whose skill only fluctuates has some forgetting too.
        NaN before the first sleep.
        """
        if not self._errors.size:
            return math.nan
        stretches = np.array_split(np.arange(len(self._keys)), max(1, len(self._keys) // _STRETCH))
        return float(np.mean([self._forgotten(stretch) for stretch in stretches]))

    def _forgotten(self, stretch: np.ndarray) -> float:
        errors, scale = self._errors[stretch], float(self._copied[stretch].mean())
        # The best score of a few segments alone would be chance.
        scored = errors[:, 2 * np.isfinite(errors).sum(axis=0) >= len(stretch)]
        lost = np.nanmean(errors[:, -1:] - scored, axis=0)
        return float(lost.max(initial=0.0)) / scale if scale > 0 else 0.0

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors."""
        return {
            'mornings.figures': _finite(np.array([getattr(self, name) for name in _FIGURES])),
            'mornings.counts': torch.tensor([int(getattr(self, name)) for name in (*_COUNTS, 'ignores_actions')]),
            'mornings.keys': torch.from_numpy(self._keys.copy()),
            'mornings.copied': _finite(self._copied),
            'mornings.errors': _finite(self._errors),
        }

    @classmethod
    def load(cls, state: Mapping[str, Tensor]) -> 'EvaluationHistory':
        """Restores the state; empty for a state of a version without held-out transitions."""
        if 'mornings.figures' not in state:
            return cls()
        *counts, ignores = state['mornings.counts'].tolist()
        values: dict[str, Any] = dict(zip(_FIGURES, _known(state['mornings.figures']).tolist())) | dict(
            zip(_COUNTS, counts)
        )
        return cls(
            **values,
            ignores_actions=bool(ignores),
            _keys=state['mornings.keys'].numpy().copy(),
            _copied=_known(state['mornings.copied']),
            _errors=_known(state['mornings.errors']),
        )


def _finite(values: Doubles) -> Tensor:
    return torch.from_numpy(np.nan_to_num(values, nan=_UNKNOWN))


def _known(values: Tensor) -> Doubles:
    found: Doubles = values.numpy()
    return np.where(found == _UNKNOWN, np.nan, found)


def actions_vary(held_out: Batch, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether an exchange gives most held-out transitions another action; low, high float32 (A,) robot units."""
    action = held_out.action.numpy()
    distance = np.abs(action - np.roll(action, len(action) // 2, axis=0))
    return bool(np.mean((distance > _DIFFERS * (high - low)).any(axis=1)) >= 0.5)
