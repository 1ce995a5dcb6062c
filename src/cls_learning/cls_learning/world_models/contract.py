"""What every world model does. State is explicit, so that recurrent and spiking ones fit."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn, Tensor

from ..space_change import SpaceChange


class WorldModel(nn.Module):
    """Predicts the next embedding from an embedding and an action, in the space the learner chose.

    A learner normalises embeddings and scales actions; the model sees only the result.

    Attributes:
        can_fold: whether `fold` is implemented; else the normaliser stands still once it is settled.
    """

    can_fold: ClassVar[bool] = False

    @abstractmethod
    def initial(self, batch: int) -> Any:
        """Returns the state in which nothing has been seen yet, for `batch` streams; None where there is none."""

    @abstractmethod
    def predict(self, state: Any, z: Tensor, action: Tensor) -> tuple[Any, Tensor, dict[str, Tensor]]:
        """Predicts one step.

        Args:
            state: of `initial` or of the step before.
            z: float32 (B, D). action: float32 (B, A).

        Returns:
            the next state, z_next float32 (B, D), and extra outputs by name.
        """

    def fold(self, weights: Mapping[str, Tensor], change: SpaceChange) -> dict[str, Tensor]:
        """Returns the weights that compute on new normalised values what the given ones compute on old ones.

        Called only where `can_fold` is true; a model that sets it implements this.

        Args:
            weights: all parameters by name, of a model of this shape, any float dtype.
            change: how old values follow from new ones, for z and z_next alike; see `space_change.Fold`.
        """
        raise NotImplementedError

    def rollout(self, z: Tensor, actions: Tensor) -> Tensor:
        """Dreams open loop from a true start (rows 000-036, 000-054).

        Args:
            z: float32 (B, D). actions: float32 (B, K, A).

        Returns:
            float32 (B, K + 1, D), the start first.
        """
        state = self.initial(z.shape[0])
        path = [z]
        for k in range(actions.shape[1]):
            state, z, _ = self.predict(state, z, actions[:, k])
            path.append(z)
        return torch.stack(path, dim=1)  # (B, K + 1, D)
