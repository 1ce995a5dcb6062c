"""A reward that trains heads of its own."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..learners.folding import fold_module, fold_moments
from ..learners.optimisation import load_module, load_optimizer, make_adam, module_state, optimizer_state, step
from ..randomness import derive
from ..space_change import SpaceChange
from ..types import Batch
from .bounded import Bounded
from .contract import Reward
from .heads import Heads, VIEW, View


class HeadedReward(Reward):
    """Heads on a view of the embedding, an optimiser, and the scale that their answers are bounded by.

    Attributes:
        name: of its file, and so of its state.
        answers_differences: heads answer with differences of views, in whose units the loss is too.
    """

    name: str
    answers_differences = False

    def __init__(
        self, settings: LearningSettings, z_size: int, fast: FastLearner, seed: int, *, heads: int, outputs: int,
        with_action: bool,
    ) -> None:  # fmt: skip
        """Makes it untrained.

        Args:
            fast: whose normaliser, errors and dreams it uses.
            with_action: whether heads are told the action beside what is seen.
        """
        self._fast = fast
        self._view = View(z_size, derive(seed, 'reward.view'))
        inputs = VIEW + fast.code.size * with_action
        self._heads = Heads(heads, inputs, outputs, derive(seed, f'reward.{self.name}'))
        self._optimizer = make_adam(self._heads, settings.policy.learning_rate)
        self._gradient_norm = settings.network.gradient_norm
        self._bounded = Bounded(self.name)

    @abstractmethod
    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        """Returns what to minimise, 0-d."""

    def learn(self, batch: Batch, generator: np.random.Generator) -> float:
        return step(self._optimizer, self.loss(batch, generator), self._gradient_norm)

    def see(self, z: Tensor) -> Tensor:
        """Returns the view (B, VIEW) of raw embeddings (B, D)."""
        return self._view(self._fast.normalizer.normalize(z))

    def units(self, action: Tensor) -> Tensor:
        """Returns actions (B, A) in robot units as [-1, 1]."""
        return torch.from_numpy(self._fast.robot.to_unit(action.numpy()))

    def fold(self, change: SpaceChange) -> None:
        fold = partial(self._heads.fold, answers_differences=self.answers_differences)
        inner = self._view.change(change)
        fold_module(self._heads, fold, inner)
        fold_moments(self._heads, self._optimizer, fold, inner, is_in_units=self.answers_differences)

    def begin_scene(self) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        own = f'policy.{self.name}'
        return (
            module_state(f'{own}.heads', self._heads) | optimizer_state(f'{own}.optimizer', self._optimizer)
            | self._bounded.state()
        )  # fmt: skip

    def load(self, state: Mapping[str, Tensor]) -> None:
        load_module(f'policy.{self.name}.heads', self._heads, state)
        load_optimizer(f'policy.{self.name}.optimizer', self._optimizer, state)
        self._bounded.load(state)
