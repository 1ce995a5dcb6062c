"""The contract of world models, with an explicit state for recurrent and spiking models.

A recurrent model declares in `context` how many steps of history its state needs. Awake, the state is carried from step
to step and begins with `initial` at a boundary. In replay it is rebuilt from the `context` steps before a transition
(`warm_up`, with gradient, so that the state is learned). For a model without state `context` is 0 and its state empty.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import nn, Tensor

from ..space_change import SpaceChange
from ..types import History

# Tensors by name, the batch first; empty where a model has no state.
ModelState = dict[str, Tensor]


class WorldModel(nn.Module):
    """Predicts the next embedding from an embedding and an action.

    The learner normalises embeddings and scales actions before.

    Attributes:
        can_fold: whether `fold` is implemented; else the normaliser is fixed after its first 64 embeddings.
        context: C, steps of history from which a state is rebuilt; 0: the model has no state.
    """

    can_fold: ClassVar[bool] = False
    context: ClassVar[int] = 0

    def initial(self, batch: int) -> ModelState:
        """Returns the state before the first step, for B = `batch` streams."""
        return {}

    @abstractmethod
    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        """Predicts one step.

        Args:
            state: of `initial` or of the step before, each tensor (B, ...).
            z: float32 (B, D). action: float32 (B, A).
            elapsed: float32 (B,), duration of the step in nominal steps, by which a state decays; None: 1. A model
                without decay ignores it.

        Returns:
            the next state, z_next float32 (B, D), and extra outputs by name.
        """

    def remember(self, state: ModelState, z: Tensor, action: Tensor) -> ModelState:
        """Returns the next state only; shapes as `predict`. A model that can compute it alone overrides this."""
        return self.predict(state, z, action)[0]

    def rewire(self, generator: np.random.Generator) -> int:
        """Replaces some weights of a model whose connections change; a trainer calls it from time to time.

        Returns:
            the number of weights that were replaced. Old and new ones are exactly 0, so `Adam.forget_zeros` is due.
        """
        return 0

    def warm_up(self, history: History | None, batch: int) -> ModelState:
        """Returns the state after a history of B = `batch` streams; that of `initial` for a model without state.

        Args:
            history: z (B, C, D) normalised, action (B, C, A) scaled, known (B, C); None: no history.
        """
        state = self.initial(batch)
        if history is None or not self.context:
            return state
        for c in range(history.z.shape[1]):
            after = self.remember(state, history.z[:, c], history.action[:, c])
            known = history.known[:, c]
            state = {
                name: torch.where(known.view(-1, *[1] * (value.dim() - 1)), value, state[name])
                for name, value in after.items()
            }
        return state

    def carry_influence(self, level: str, seed: int) -> None:
        """Makes gradients those of real-time recurrent learning: of one step's loss, through all steps before it.

        States then hold the influence of the weights too, and have no graph. Called only before `initial`, for a level
        that the model's module names in `RTRL_LEVELS`.

        Args:
            level: of `rtrl.LEVELS`. seed: of a level that is random.
        """
        raise NotImplementedError

    def fold(self, weights: Mapping[str, Tensor], change: SpaceChange) -> dict[str, Tensor]:
        """Returns the weights that compute on new normalised values what the given ones compute on old ones.

        Called only where `can_fold` is true. The states of such a model must not hold normalised values, since a
        carried state is not folded.

        Args:
            weights: all parameters by name, of a model of this shape, any float dtype.
            change: from new to old values, of z and z_next alike; see `space_change.Fold`.
        """
        raise NotImplementedError

    def rollout(self, z: Tensor, actions: Tensor, state: ModelState | None = None) -> Tensor:
        """Predicts K steps open loop, each from the prediction before.

        Args:
            z: float32 (B, D). actions: float32 (B, K, A).
            state: before the first step; None: that of `initial`.

        Returns:
            float32 (B, K + 1, D), the start first.
        """
        state = self.initial(z.shape[0]) if state is None else state
        path = [z]
        for k in range(actions.shape[1]):
            state, z, _ = self.predict(state, z, actions[:, k])
            path.append(z)
        return torch.stack(path, dim=1)  # (B, K + 1, D)
