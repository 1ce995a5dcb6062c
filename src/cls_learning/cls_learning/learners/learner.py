"""A world model with the weights that learn and the averaged ones that act."""

import copy

import torch
from torch import Tensor

from cls_common.transition import Transition

from ..space_change import SpaceChange
from ..types import History
from ..world_models.contract import ModelState, WorldModel
from .actions import ActionCode
from .adam import Adam
from .carried import Carried
from .folding import fold_module, fold_moments
from .normalizer import Normalizer
from .optimisation import average_into, load_module, module_state, State, step

# The state before a step: a history to rebuild it from, the state itself, or None for the initial one.
Before = History | ModelState | None


class Learner:
    """Base of Fast and Slow: predicts in raw units, learns in normalised ones.

    `before`, wherever it is asked for, is the history of the steps, raw embeddings and robot units, or the state of
    the weights that predict; None begins from the initial state. Models without a state ignore it.

    Attributes:
        raw: the weights that are optimised.
        acting: the averaged weights that predict, are scored and teach; the raw ones where decay is 0.
        carried: the state of the acting weights along the steps awake.
    """

    def __init__(
        self, name: str, model: WorldModel, decay: float, normalizer: Normalizer, code: ActionCode, gradient_norm: float
    ) -> None:
        self.name = name
        self.raw = model.to(normalizer.device)
        self.acting: WorldModel = copy.deepcopy(model).requires_grad_(False) if decay > 0 else model
        self._weights: list[Tensor] = list(self.raw.parameters())
        self._averaged: list[Tensor] = list(self.acting.parameters())
        self.normalizer = normalizer
        self.code = code
        self._decay = decay
        self._gradient_norm = gradient_norm
        self.carried = Carried(name, self.acting.initial(1))

    @torch.no_grad()
    def predict(self, z: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Returns the raw embeddings that acting weights expect: z (B, D) raw, action (B, A) robot units."""
        return self.normalizer.restore(self.predict_normalized(self.normalizer.normalize(z), action, before))

    @torch.no_grad()
    def predict_normalized(self, x: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Returns what acting weights expect, normalised: x (B, D) normalised, action (B, A) robot units."""
        _, out, _ = self.acting.predict(self._state(self.acting, before, len(x)), x, self.code.to_input(action))
        return out

    @torch.no_grad()
    def predict_along(self, z: Tensor, actions: Tensor) -> Tensor:
        """Returns raw embeddings (B, T, D) that acting weights expect after each step of B chains, with their state.

        Args:
            z: (B, T, D) raw. actions: (B, T, A) robot units.
        """
        state, path = self.acting.initial(len(z)), []
        for x, action in zip(self.normalizer.normalize(z).unbind(1), self.code.to_input(actions).unbind(1)):
            state, out, _ = self.acting.predict(state, x, action)
            path.append(self.normalizer.restore(out))
        return torch.stack(path, dim=1)

    @torch.no_grad()
    def dream(self, z: Tensor, actions: Tensor, before: Before = None) -> Tensor:
        """Returns raw embeddings (B, K + 1, D) of an open-loop dream (row 000-054), the start first."""
        state = self._state(self.acting, before, len(z))
        path = self.acting.rollout(self.normalizer.normalize(z), self.code.to_input(actions), state)
        return torch.cat([z[:, None], self.normalizer.restore(path[:, 1:])], dim=1)

    @torch.no_grad()
    def carry(self, transition: Transition, *, is_cut: bool = False) -> None:
        """Carries the state over one step awake, once; `is_cut`: steps before it are missing."""
        if not self.acting.context or not self.carried.is_new(transition):
            return
        before = self.carried.begin(transition, is_cut=is_cut)
        z, action = (
            torch.from_numpy(part)[None].to(self.normalizer.device)
            for part in (transition.z, transition.action_applied)
        )
        after = self.acting.remember(before, self.normalizer.normalize(z), self.code.to_input(action))
        self.carried.end(transition, after)

    def forward(self, x: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Predicts with the raw weights and gradient: x (B, D) normalised, action (B, A) robot units."""
        _, out, _ = self.raw.predict(self._state(self.raw, before, len(x)), x, self.code.to_input(action))
        return out

    def raw_state(self, before: Before, batch: int) -> ModelState:
        """Returns the state of the raw weights before a step, for a batch, with gradient."""
        return self._state(self.raw, before, batch)

    def _state(self, model: WorldModel, before: Before, batch: int) -> ModelState:
        if isinstance(before, dict):
            return before
        if before is None or not model.context:
            return model.initial(batch)
        x, action = self.normalizer.normalize(before.z), self.code.to_input(before.action)
        return model.warm_up(History(x, action, before.known), batch)

    def take_step(self, optimizer: Adam, loss: Tensor) -> float:
        """Takes one step and lets the acting weights follow; returns the loss, NaN where it was refused."""
        value = step(optimizer, loss, self._gradient_norm)
        if value == value and self.acting is not self.raw:
            average_into(self._averaged, self._weights, self._decay)
        return value

    def fold(self, change: SpaceChange) -> None:
        """Goes on predicting the same raw embeddings under a new snapshot of the normaliser."""
        for model in (self.raw,) if self.acting is self.raw else (self.raw, self.acting):
            fold_module(model, model.fold, change)

    def fold_optimizer(self, optimizer: Adam, change: SpaceChange) -> None:
        """Does the same for an optimiser of the raw weights."""
        fold_moments(self.raw, optimizer, self.raw.fold, change, is_in_units=True)

    def parameter_count(self) -> int:
        """Numbers in the raw weights (row 000-055)."""
        return sum(p.numel() for p in self.raw.parameters())

    def state(self) -> State:
        """Returns raw and acting weights, named `<name>.raw.*` and `<name>.acting.*`, and `<name>.carried.*`."""
        return (
            module_state(f'{self.name}.raw', self.raw)
            | module_state(f'{self.name}.acting', self.acting)
            | self.carried.state()
        )

    def load(self, state: State) -> None:
        """Takes everything back."""
        load_module(f'{self.name}.raw', self.raw, state)
        if self.acting is not self.raw:
            load_module(f'{self.name}.acting', self.acting, state)
        self.carried.load(state)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Mean over dimensions of the squared difference, (B,) from (B, D); the mean over B is the loss (section 4)."""
    return (a - b).square().mean(dim=-1)
