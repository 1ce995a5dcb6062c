"""Candidate actions, each held for a few steps, and their predicted outcomes."""

from functools import cached_property

import torch
from torch import Tensor

from cls_common.transition import Doubles, Floats

from ..learners.fast import FastLearner


class CandidateRollouts:
    """Rollouts of C candidate actions from the present state.

    Fast predicts the embeddings from its carried state, and only where a reward reads them.

    Attributes:
        z: float32 (D,) raw, present embedding. joints: float64 (J,) rad, present.
        actions: float32 (C, A) in [-1, 1]. horizon: H, steps for which each action is held.
    """

    def __init__(self, z: Floats, joints: Doubles, actions: Floats, horizon: int, fast: FastLearner | None) -> None:
        self.z, self.joints, self.actions, self.horizon = z, joints, actions, horizon
        self._fast = fast

    @cached_property
    def path(self) -> Tensor:
        """Normalised embeddings of the rollouts, float32 (C, H + 1, D), the present one first."""
        assert self._fast is not None
        start = torch.from_numpy(self.z).expand(len(self.actions), -1)
        values = torch.from_numpy(self._fast.robot.to_units(self.actions))
        now = {name: part.expand(len(start), *part.shape[1:]) for name, part in self._fast.carried.now.items()}
        path = self._fast.rollout(start, values[:, None].expand(-1, self.horizon, -1), now)
        return self._fast.normalizer.normalize(path)  # (C, H + 1, D)

    @cached_property
    def held(self) -> Tensor:
        """Actions at each step, float32 (C, H, A) in [-1, 1]."""
        return torch.from_numpy(self.actions)[:, None].expand(-1, self.horizon, -1)
