"""A world model with online weights, which are optimised, and averaged ones, which act."""

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

# State before a step: a history from which it is rebuilt, the state itself, or None for the initial one.
Before = History | ModelState | None


class Learner:
    """Base of Fast and Slow: predicts in raw units, learns in normalised ones.

    The argument `before` is the history of the steps (raw embeddings, robot units) or the state of the weights that
    predict; None is the initial state. Models without a state ignore it.

    Attributes:
        online: weights that are optimised.
        ema: exponential moving average of them, which acts, is scored and teaches (Polyak and Juditsky 1992); the
            online weights where `decay` is 0.
        carried: state of the averaged weights along the wake steps.
    """

    def __init__(
        self, name: str, model: WorldModel, decay: float, normalizer: Normalizer, code: ActionCode, gradient_norm: float
    ) -> None:
        self.name = name
        self.online = model.to(normalizer.device)
        self.ema: WorldModel = copy.deepcopy(model).requires_grad_(False) if decay > 0 else model
        self._weights: list[Tensor] = list(self.online.parameters())
        self._averaged: list[Tensor] = list(self.ema.parameters())
        self.normalizer = normalizer
        self.code = code
        self._decay = decay
        self._gradient_norm = gradient_norm
        self.carried = Carried(name, self.ema.initial(1))

    @torch.no_grad()
    def predict(self, z: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Predicts raw embeddings (B, D) with the averaged weights: z (B, D) raw, action (B, A) robot units."""
        return self.normalizer.restore(self.predict_normalized(self.normalizer.normalize(z), action, before))

    @torch.no_grad()
    def predict_normalized(self, x: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Predicts normalised embeddings (B, D) with the averaged weights: x (B, D) normalised, action as above."""
        _, out, _ = self.ema.predict(self._state(self.ema, before, len(x)), x, self.code.to_input(action))
        return out

    @torch.no_grad()
    def predict_along(self, z: Tensor, actions: Tensor) -> Tensor:
        """Predicts raw embeddings (B, T, D), one step ahead along B sequences, with the averaged weights and a state.

        Args:
            z: (B, T, D) raw. actions: (B, T, A) robot units.
        """
        state, path = self.ema.initial(len(z)), []
        for x, action in zip(self.normalizer.normalize(z).unbind(1), self.code.to_input(actions).unbind(1)):
            state, out, _ = self.ema.predict(state, x, action)
            path.append(self.normalizer.restore(out))
        return torch.stack(path, dim=1)

    @torch.no_grad()
    def rollout(self, z: Tensor, actions: Tensor, before: Before = None) -> Tensor:
        """Predicts raw embeddings (B, K + 1, D) open loop with the averaged weights, the start first.

        Args:
            z: (B, D) raw. actions: (B, K, A) robot units.
        """
        state = self._state(self.ema, before, len(z))
        path = self.ema.rollout(self.normalizer.normalize(z), self.code.to_input(actions), state)
        return torch.cat([z[:, None], self.normalizer.restore(path[:, 1:])], dim=1)

    @torch.no_grad()
    def carry(self, transition: Transition, *, is_cut: bool = False) -> None:
        """Updates the carried state by one wake step, once for each; `is_cut`: steps before it are missing."""
        if not self.ema.context or not self.carried.is_new(transition):
            return
        before = self.carried.begin(transition, is_cut=is_cut)
        z, action = (
            torch.from_numpy(part)[None].to(self.normalizer.device)
            for part in (transition.z, transition.action_applied)
        )
        after = self.ema.remember(before, self.normalizer.normalize(z), self.code.to_input(action))
        self.carried.end(transition, after)

    def forward(self, x: Tensor, action: Tensor, before: Before = None) -> Tensor:
        """Predicts (B, D) with the online weights and gradient: x (B, D) normalised, action (B, A) robot units."""
        _, out, _ = self.online.predict(self._state(self.online, before, len(x)), x, self.code.to_input(action))
        return out

    def online_state(self, before: Before, batch: int) -> ModelState:
        """Returns the state of the online weights before a step of B = `batch` streams, with gradient."""
        return self._state(self.online, before, batch)

    def _state(self, model: WorldModel, before: Before, batch: int) -> ModelState:
        if isinstance(before, dict):
            return before
        if before is None or not model.context:
            return model.initial(batch)
        x, action = self.normalizer.normalize(before.z), self.code.to_input(before.action)
        return model.warm_up(History(x, action, before.known), batch)

    def take_step(self, optimizer: Adam, loss: Tensor) -> float:
        """Takes one optimiser step on a loss (0-d) and updates the average; returns the loss, NaN where refused."""
        value = step(optimizer, loss, self._gradient_norm)
        if value == value and self.ema is not self.online:
            average_into(self._averaged, self._weights, self._decay)
        return value

    def fold(self, change: SpaceChange) -> None:
        """Folds a new snapshot of the normaliser into all weights: raw predictions stay the same."""
        for model in (self.online,) if self.ema is self.online else (self.online, self.ema):
            fold_module(model, model.fold, change)

    def fold_optimizer(self, optimizer: Adam, change: SpaceChange) -> None:
        """Folds it into the moments of an optimiser of the online weights."""
        fold_moments(self.online, optimizer, self.online.fold, change, is_in_units=True)

    def parameter_count(self) -> int:
        """Returns the number of parameters of the online weights."""
        return sum(p.numel() for p in self.online.parameters())

    def state(self) -> State:
        """Returns online and averaged weights as `<name>.raw.*` and `<name>.acting.*`, and `<name>.carried.*`."""
        return (
            module_state(f'{self.name}.raw', self.online)
            | module_state(f'{self.name}.acting', self.ema)
            | self.carried.state()
        )

    def load(self, state: State) -> None:
        """Restores the state."""
        load_module(f'{self.name}.raw', self.online, state)
        if self.ema is not self.online:
            load_module(f'{self.name}.acting', self.ema, state)
        self.carried.load(state)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Returns the mean over D of the squared difference, (B,) from (B, D); the mean over B is a loss."""
    return (a - b).square().mean(dim=-1)
