"""The world as a brain with a goal predicts it: next state, reward and whether the episode continues."""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from ... import world_models
from ...world_models.contract import ModelState
from ...world_models.contract import ModelState
from .settings import WorldSettings
from .symlog import symlog

# A dimension that never changes is not divided by its spread of 0.
_SMALLEST = 1e-3
# Normalised states are clipped to +- this.
_CLIP = 10.0


class Outcome(NamedTuple):
    """What a step is predicted to bring.

    Attributes:
        carried: state of the world model after it.
        state: float32 (B, S) raw. symlog_reward: float32 (B,). continues: logit of going on, float32 (B,).
        spike_rate: share of neurons that fire in a tick, (B,); NaN for a model without spikes.
    """

    carried: ModelState
    state: Tensor
    symlog_reward: Tensor
    continues: Tensor
    spike_rate: Tensor


class World(nn.Module):
    """A world model by name with heads for reward and continuation.

    The model's vector is the normalised state with two further numbers, which enter as 0 and leave as the symlog of the
    reward and the logit of continuation: any world model has these heads. Changes of the state are predicted in units
    of their own spread.

    Args:
        size: length of a state, S. action_size: of an action's code, E.
    """

    mean: Tensor
    scale: Tensor
    change: Tensor

    def __init__(self, settings: WorldSettings, size: int, action_size: int, seed: int) -> None:
        super().__init__()
        self.core = world_models.make(
            settings.model, z_size=size + 2, action_size=action_size, hidden=(settings.hidden,) * 2, residual=True,
            seed=seed, plugins=settings.plugins,
        )  # fmt: skip
        self._carries = settings.window > 1
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('scale', torch.ones(size))
        self.register_buffer('change', torch.ones(size))

    def set_scale(self, states: Tensor, changes: Tensor) -> None:
        """Takes mean and spread of states, and the spread of their changes; both float32 (N, S) raw."""
        self.mean.copy_(states.mean(0))
        self.scale.copy_(states.std(0, correction=0).clamp(min=_SMALLEST))
        self.change.copy_(changes.square().mean(0).sqrt().clamp(min=_SMALLEST * self.scale))

    def normalise(self, state: Tensor) -> Tensor:
        """Returns what the networks see of raw states (..., S)."""
        return ((state - self.mean) / self.scale).clamp(-_CLIP, _CLIP)

    def initial(self, batch: int) -> ModelState:
        """Returns the state of the world model in which nothing has been seen."""
        return self.core.initial(batch)

    def predict(self, carried: ModelState, state: Tensor, code: Tensor) -> Outcome:
        """Predicts one step from raw states (B, S) and codes of actions (B, E)."""
        if not self._carries:
            carried = self.initial(len(state))
        known = nn.functional.pad(self.normalise(state), (0, 2))  # (B, S + 2)
        carried, out, info = self.core.predict(carried, known, code)
        change = (out - known)[:, :-2] * self.change
        rate = info.get('spike_rate', torch.full((len(state),), torch.nan))
        return Outcome(carried, state + change, out[:, -2], out[:, -1], rate)

    def errors(self, outcome: Outcome, state: Tensor) -> Tensor:
        """Returns mean squared errors of predicted states, (B,), in units of the spread of changes."""
        return ((outcome.state - state) / self.change).square().mean(-1)

    def loss(self, outcome: Outcome, state: Tensor, reward: Tensor, terminal: Tensor) -> Tensor:
        """Returns the loss (B,) of an outcome against what happened: state, reward, end of the episode."""
        ends = nn.functional.binary_cross_entropy_with_logits(outcome.continues, 1.0 - terminal, reduction='none')
        return self.errors(outcome, state) + (outcome.symlog_reward - symlog(reward)).square() + ends
