"""Base of rewards that train networks of their own."""

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
from .contract import Reward
from .ensemble import Ensemble, PROJECTED, RandomProjection
from .running_normalizer import RunningNormalizer


class EnsembleReward(Reward):
    """Ensemble on a random projection of the embedding, its optimiser, and the normaliser of its outputs.

    Attributes:
        name: of its file and its state.
        predicts_differences: outputs are differences of projections, and the loss is in their units.
    """

    name: str
    predicts_differences = False

    def __init__(
        self,
        settings: LearningSettings,
        z_size: int,
        fast: FastLearner,
        seed: int,
        *,
        members: int,
        outputs: int,
        with_action: bool,
    ) -> None:
        """Makes the untrained reward.

        Args:
            fast: whose normaliser, errors and rollouts it uses.
            members, outputs: number of networks, and length of the output of each.
            with_action: whether the networks read the action beside the projection.
        """
        self._fast = fast
        self._projection = RandomProjection(z_size, derive(seed, 'reward.view'))
        inputs = PROJECTED + fast.code.size * with_action
        self._ensemble = Ensemble(members, inputs, outputs, derive(seed, f'reward.{self.name}'))
        self._optimizer = make_adam(self._ensemble, settings.policy.learning_rate)
        self._gradient_norm = settings.network.gradient_norm
        self._scaler = RunningNormalizer(self.name)

    @abstractmethod
    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        """Returns the loss of B transitions, 0-d."""

    def update(self, batch: Batch, generator: np.random.Generator) -> float:
        return step(self._optimizer, self.loss(batch, generator), self._gradient_norm)

    def project(self, z: Tensor) -> Tensor:
        """Returns projections (B, PROJECTED) of raw embeddings (B, D)."""
        return self._projection(self._fast.normalizer.normalize(z))

    def units(self, action: Tensor) -> Tensor:
        """Returns actions (B, A) in [-1, 1] from robot units."""
        return torch.from_numpy(self._fast.robot.to_unit(action.numpy()))

    def fold(self, change: SpaceChange) -> None:
        fold = partial(self._ensemble.fold, predicts_differences=self.predicts_differences)
        inner = self._projection.change(change)
        fold_module(self._ensemble, fold, inner)
        fold_moments(self._ensemble, self._optimizer, fold, inner, is_in_units=self.predicts_differences)

    def begin_scene(self) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        own = f'policy.{self.name}'
        return (
            module_state(f'{own}.heads', self._ensemble)
            | optimizer_state(f'{own}.optimizer', self._optimizer)
            | self._scaler.state()
        )

    def load(self, state: Mapping[str, Tensor]) -> None:
        load_module(f'policy.{self.name}.heads', self._ensemble, state)
        load_optimizer(f'policy.{self.name}.optimizer', self._optimizer, state)
        self._scaler.load(state)
