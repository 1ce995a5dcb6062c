"""A world model: each action channel moves the embedding linearly, through a few directions.

    ./cls train --set network.world_model=low_rank --set network.low_rank.rank=16

The embedding is projected to `rank` numbers, each action (and a constant, for what the environment does by itself)
scales them, and the result is projected back and added: z_next = z + up(down(z) * (mix(action) + 1)). It has no state.
The widths of `network.fast_hidden` and `network.slow_hidden` do not apply: Fast and Slow have the same size.
"""

from dataclasses import dataclass

import torch
from torch import nn, Tensor

from cls_common.settings import setting, Settings
from cls_learning.world_models.contract import ModelState, WorldModel
from cls_learning.world_models.mlp import initialise


@dataclass(frozen=True, kw_only=True)
class LowRankSettings(Settings):
    rank: int = setting(32, 'Directions of the embedding in which an action moves it.', low=1, high=4096)


SETTINGS = LowRankSettings


class LowRankWorldModel(WorldModel):
    """Parameters grow with rank x (2 D + A), not with D x D.

    Args:
        z_size, action_size: D and A. rank: number of directions.
        residual: predict the change of z, starting at no change; else z_next itself.
    """

    def __init__(self, z_size: int, action_size: int, rank: int, residual: bool) -> None:
        super().__init__()
        self.down = nn.Linear(z_size, rank)
        self.mix = nn.Linear(action_size, rank)
        self.up = nn.Linear(rank, z_size)
        self.residual = residual

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        """See WorldModel: z float32 (B, D), action float32 (B, A) -> z_next float32 (B, D)."""
        out = self.up(self.down(z) * (1.0 + self.mix(action)))  # (B, D)
        return state, z + out if self.residual else out, {}


def make(
    *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int, own: LowRankSettings
) -> LowRankWorldModel:
    """Makes an untrained model; equal arguments give equal weights. `own` are its settings, as SETTINGS declares."""
    model = LowRankWorldModel(z_size, action_size, own.rank, residual)
    initialise(model, seed)
    if residual:
        with torch.no_grad():
            model.up.weight.zero_()
            model.up.bias.zero_()
    return model
