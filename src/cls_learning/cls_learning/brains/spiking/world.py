"""The world as a brain with a goal predicts it: next state, reward and whether the episode continues."""

from collections.abc import Iterable, Iterator
from typing import cast, NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

from ... import world_models
from ...learners.symlog import symexp, symlog
from ...world_models.contract import ModelState, WorldModel
from .settings import WorldSettings

# A dimension that never changes is not divided by its spread of 0.
_SMALLEST = 1e-3
# Normalised states are clipped to +- this.
_CLIP = 10.0


class Outcome(NamedTuple):
    """What a step is predicted to bring, by each of K members of the ensemble.

    Attributes:
        carried: state of the world models after it.
        states: float32 (K, B, S) raw. symlog_rewards: float32 (K, B). continues: logits of going on, float32 (K, B).
        spike_rate: share of neurons that fire in a tick, (B,); NaN for models without spikes.
    """

    carried: ModelState
    states: Tensor
    symlog_rewards: Tensor
    continues: Tensor
    spike_rate: Tensor

    @property
    def state(self) -> Tensor:
        """The mean predicted state, float32 (B, S) raw."""
        return self.states.mean(0)

    @property
    def reward(self) -> Tensor:
        """The predicted reward, symexp of the mean of the members, float32 (B,)."""
        return symexp(self.symlog_rewards.mean(0))

    @property
    def continuation(self) -> Tensor:
        """The mean predicted probability that the episode goes on, float32 (B,)."""
        return torch.sigmoid(self.continues).mean(0)


class World(nn.Module):
    """An ensemble of world models by name, with heads for reward and continuation.

    The model's vector is the normalised state with two further numbers, which enter as 0 and leave as the symlog of the
    reward and the logit of continuation: any world model has these heads. Changes of the state are predicted in units
    of their own spread: the root of their mean square, or, with the loss `huber` (Huber 1964), their mean size. Where a
    state seldom jumps, such as at a wall, the jumps would else decide the unit and nearly all of the loss.

    Args:
        size: length of a state, S. action_size: of an action's code, E.
    """

    mean: Tensor
    scale: Tensor
    change: Tensor

    def __init__(self, settings: WorldSettings, size: int, action_size: int, seed: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            world_models.make(
                settings.model, z_size=size + 2, action_size=action_size, hidden=(settings.hidden,) * 2, residual=True,
                seed=seed + member, plugins=settings.plugins,
            )
            for member in range(settings.ensemble)
        )  # fmt: skip
        self._carries = settings.window > 1
        self._is_robust = settings.loss == 'huber'
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('scale', torch.ones(size))
        self.register_buffer('change', torch.ones(size))

    def set_scale(self, states: Tensor, changes: Tensor) -> None:
        """Takes mean and spread of states, and the spread of their changes; both float32 (N, S) raw."""
        self.mean.copy_(states.mean(0))
        self.scale.copy_(states.std(0, correction=0).clamp(min=_SMALLEST))
        spread = changes.abs().mean(0) if self._is_robust else changes.square().mean(0).sqrt()
        self.change.copy_(spread.clamp(min=_SMALLEST * self.scale))

    @property
    def is_scaled(self) -> bool:
        """Whether the spread of what is sensed is known."""
        return bool((self.change != 1.0).any())

    def learn_online(self, level: str, seed: int) -> None:
        """Makes gradients those of real-time recurrent learning, and states carry the influence of the weights."""
        for k, member in self._enumerate():
            member.carry_influence(level, seed + k)

    def normalise(self, state: Tensor) -> Tensor:
        """Returns what the networks see of raw states (..., S)."""
        return ((state - self.mean) / self.scale).clamp(-_CLIP, _CLIP)

    def initial(self, batch: int) -> ModelState:
        """Returns the state of the world models in which nothing has been seen, each tensor (B, ...)."""
        states = ((k, member.initial(batch)) for k, member in self._enumerate())
        return {f'{k}.{name}': tensor for k, own in states for name, tensor in own.items()}

    def predict(self, carried: ModelState, state: Tensor, code: Tensor, elapsed: Tensor | None = None) -> Outcome:
        """Predicts one step from raw states (B, S) and codes of actions (B, E).

        Args:
            elapsed: float32 (B,), duration of the step in nominal steps; None: 1.
        """
        if not self._carries:
            carried = self.initial(len(state))
        known = nn.functional.pad(self.normalise(state), (0, 2))  # (B, S + 2)
        timing = () if elapsed is None else (elapsed,)  # older plug-ins take no duration
        after: ModelState = {}
        outs, rates = [], []
        for k, member in self._enumerate():
            own = {name.partition('.')[2]: s for name, s in carried.items() if name.startswith(f'{k}.')}
            own, out, info = member.predict(own, known, code, *timing)
            after |= {f'{k}.{name}': tensor for name, tensor in own.items()}
            outs.append(out)
            rates.append(info.get('spike_rate', torch.full((len(state),), torch.nan)))
        out = torch.stack(outs)  # (K, B, S + 2)
        change = (out - known)[..., :-2] * self.change
        return Outcome(after, state + change, out[..., -2], out[..., -1], torch.stack(rates).mean(0))

    def _enumerate(self) -> Iterator[tuple[int, WorldModel]]:
        return enumerate(cast(Iterable[WorldModel], self.members))

    def rewire(self, generator: np.random.Generator) -> int:
        """Replaces some weights of members whose connections change; see WorldModel."""
        return sum(member.rewire(generator) for _, member in self._enumerate())

    def errors(self, states: Tensor, state: Tensor) -> Tensor:
        """Returns mean squared errors of states (..., B, S) against (B, S), as (..., B), in the spread of changes."""
        return ((states - state) / self.change).square().mean(-1)

    def disagreement(self, outcome: Outcome) -> Tensor:
        """Returns the variance of the members' predicted states, (B,), in units of the spread of changes."""
        return self.errors(outcome.states, outcome.state).mean(0)

    def loss(self, outcome: Outcome, state: Tensor, reward: Tensor, terminal: Tensor) -> Tensor:
        """Returns the mean loss of all members against what happened: state, reward, end of the episode.

        Args:
            state: float32 (B, S) raw. reward, terminal: float32 (B,).
        """
        goes_on = (1.0 - terminal).expand_as(outcome.continues)
        ends = nn.functional.binary_cross_entropy_with_logits(outcome.continues, goes_on)
        rewards = (outcome.symlog_rewards - symlog(reward)).square()
        return self._state_loss(outcome.states, state) + rewards.mean() + ends

    def _state_loss(self, states: Tensor, state: Tensor) -> Tensor:
        if not self._is_robust:
            return self.errors(states, state).mean()
        # Twice the usual form, so that small errors count as in the squared loss.
        return 2.0 * nn.functional.huber_loss(states / self.change, (state / self.change).expand_as(states))
