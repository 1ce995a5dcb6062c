"""FiLM with a memory of actions: a gated recurrent unit (Cho et al. 2014) remembers what was commanded.

A body that acts late shows now what an action of some steps ago does. The state is what the unit keeps of the actions
so far; the hidden units of `film` are scaled by the newest action and by that state. Nothing remembered and no action
is rest: like `film`, untrained it says "no change".
"""

import torch
from torch import nn, Tensor

from .contract import ModelState
from .film import FilmWorldModel, initialise_film
from .mlp import initialise

# Units of the state: what has to be remembered is a few actions.
UNITS = 32


class GruWorldModel(FilmWorldModel):
    """The layers of `film`; in the place of the action they have the action and what is remembered after it.

    State: `hidden` (B, UNITS), after the newest action. It holds nothing of embeddings, and so folds as `film` does.
    """

    context = 3

    def __init__(self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool) -> None:
        super().__init__(z_size, action_size + UNITS, hidden, residual)
        self.told = nn.Linear(action_size, 3 * UNITS)
        self.kept = nn.Linear(UNITS, 3 * UNITS)

    def initial(self, batch: int) -> ModelState:
        like = self.told.weight
        return {'hidden': torch.zeros(batch, UNITS, dtype=like.dtype, device=like.device)}

    def remember(self, state: ModelState, z: Tensor, action: Tensor) -> ModelState:
        hidden = state['hidden']
        told, kept = self.told(action).chunk(3, dim=-1), self.kept(hidden).chunk(3, dim=-1)
        reset, update = torch.sigmoid(told[0] + kept[0]), torch.sigmoid(told[1] + kept[1])
        candidate = torch.tanh(told[2] + reset * kept[2])
        return {'hidden': torch.lerp(candidate, hidden, update)}

    def predict(self, state: ModelState, z: Tensor, action: Tensor) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        after = self.remember(state, z, action)
        _, z_next, info = super().predict({}, z, torch.cat([action, after['hidden']], dim=-1))
        return after, z_next, info


def make(*, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> GruWorldModel:
    """Makes an untrained network."""
    model = GruWorldModel(z_size, action_size, hidden, residual)
    initialise(model, seed)
    initialise_film(model, seed)
    for layer in (model.told, model.kept):
        nn.init.zeros_(layer.bias)
    return model
