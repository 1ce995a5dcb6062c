"""Candidate actions, each held for a few steps, and what they are expected to lead to."""

from functools import cached_property

import torch
from torch import Tensor

from cls_common.transition import Doubles, Floats

from ..learners.fast import FastLearner


class Imagined:
    """What a policy compares. Embeddings are dreamed by Fast, from the state that it carries, and only where a reward
    asks for them.

    Attributes:
        z: float32 (D,) raw, now. joints: float64 (J,) rad, now.
        actions: float32 (C, A) in [-1, 1]. horizon: H, steps that each is held for.
    """

    def __init__(
        self, z: Floats, joints: Doubles, actions: Floats, horizon: int, fast: FastLearner | None
    ) -> None:  # fmt: skip
        self.z, self.joints, self.actions, self.horizon = z, joints, actions, horizon
        self._fast = fast

    @cached_property
    def path(self) -> Tensor:
        """Normalised embeddings of the dream, float32 (C, H + 1, D), the present one first."""
        assert self._fast is not None
        start = torch.from_numpy(self.z).expand(len(self.actions), -1)
        values = torch.from_numpy(self._fast.robot.to_units(self.actions))
        now = {name: part.expand(len(start), *part.shape[1:]) for name, part in self._fast.carried.now.items()}
        dream = self._fast.dream(start, values[:, None].expand(-1, self.horizon, -1), now)
        return self._fast.normalizer.normalize(dream)  # (C, H + 1, D)

    @cached_property
    def held(self) -> Tensor:
        """The actions at each step, float32 (C, H, A) in [-1, 1]."""
        return torch.from_numpy(self.actions)[:, None].expand(-1, self.horizon, -1)
