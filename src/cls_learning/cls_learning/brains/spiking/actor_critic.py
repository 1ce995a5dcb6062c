"""Actor and critic, and their update from imagined trajectories (Hafner et al. 2023)."""

from collections.abc import Mapping
import copy
import math

import torch
from torch import Tensor

from ...learners.optimisation import (
    average_into,
    load_module,
    load_optimizer,
    make_adam,
    module_state,
    optimizer_state,
    State,
    step,
)
from .action_space import ActionSpace
from .networks import make_actor, make_critic
from .settings import AgentSettings
from .symlog import BINS, mean_of, two_hot

_FIGURES = ('actor_loss', 'critic_loss', 'imagined_return', 'entropy')


def lambda_returns(rewards: Tensor, discounts: Tensor, values: Tensor, trace: float) -> Tensor:
    """Returns v[t] = r[t] + discount[t] ((1 - trace) V[t+1] + trace v[t+1]), with v[H] = V[H].

    Args:
        rewards, discounts: of step t to t + 1, (H, ...). values: of the states, (H + 1, ...).
        trace: lambda.

    Returns:
        (H, ...).
    """
    found = [values[-1]]
    for t in range(len(rewards) - 1, -1, -1):
        found.append(rewards[t] + discounts[t] * ((1.0 - trace) * values[t + 1] + trace * found[-1]))
    return torch.stack(found[:0:-1])


class ActorCritic:
    """Learns from trajectories of normalised states, real or imagined.

    Attributes:
        actor: normalised states (..., S) to outputs of the action space. critic: to a distribution over values.
        space: of actions.
        return_range: 5 % and 95 % quantiles of returns, averaged, float32 (2,); their distance scales advantages.
    """

    def __init__(self, settings: AgentSettings, space: ActionSpace, size: int, seed: int) -> None:
        self._settings = settings
        self.space = space
        self.actor = make_actor(size, space.outputs, settings, seed)
        self.critic = make_critic(size, BINS, settings, seed + 1)
        self.slow_critic = copy.deepcopy(self.critic)
        self.return_range = torch.zeros(2)
        self._actor_optimizer = make_adam(self.actor, settings.learning_rate)
        self._critic_optimizer = make_adam(self.critic, settings.learning_rate)

    def value(self, states: Tensor) -> Tensor:
        """Returns the values (...,) of normalised states (..., S)."""
        return mean_of(self.critic(states)[0])

    def update(self, states: Tensor, codes: Tensor, rewards: Tensor, discounts: Tensor) -> dict[str, float]:
        """Takes one step of critic and actor.

        Args:
            states: normalised, (H + 1, B, S). codes: of the actions taken there, (H, B, E).
            rewards, discounts: of step t to t + 1, (H, B).

        Returns:
            actor_loss, critic_loss, imagined_return, entropy; a loss is NaN where its step was refused, and all are
            where a return is not finite.
        """
        own = self._settings
        with torch.no_grad():
            values = self.value(states)
            returns = lambda_returns(rewards, discounts, values, own.trace)  # (H, B)
            if not bool(returns.isfinite().all()):
                return dict.fromkeys(_FIGURES, math.nan)
            # Discount so far, with the probability that the state is reached.
            weights = torch.cat([torch.ones_like(discounts[:1]), discounts[:-1]]).cumprod(0)
            slow = mean_of(self.slow_critic(states[:-1])[0])
            self._follow_range(returns)
            advantages = (returns - values[:-1]) / (self.return_range[1] - self.return_range[0]).clamp(min=1.0)
        logits = self.critic(states[:-1])[0].log_softmax(-1)
        # The slow critic's values are a second target: they damp the bootstrap of the critic on itself.
        targets = two_hot(returns) + two_hot(slow)
        critic_loss = step(self._critic_optimizer, -((logits * targets).sum(-1) * weights).mean(), own.gradient_norm)
        outputs, rates = self.actor(states[:-1])
        excess = (rates.mean() - own.spike_rate).nan_to_num(0.0).clamp(min=0.0)
        entropy = self.space.entropy(outputs)
        gain = advantages * self.space.log_probability(outputs, codes) + own.entropy * entropy
        loss = own.spike_cost * excess.square() - (gain * weights).mean()
        actor_loss = step(self._actor_optimizer, loss, own.gradient_norm)
        average_into(list(self.slow_critic.parameters()), list(self.critic.parameters()), 1.0 - own.slow_rate)
        return {
            'actor_loss': actor_loss, 'critic_loss': critic_loss, 'imagined_return': float(returns[0].mean()),
            'entropy': float(entropy.detach().mean()),
        }  # fmt: skip

    def _follow_range(self, returns: Tensor) -> None:
        found = torch.quantile(returns.flatten(), torch.tensor([0.05, 0.95]))
        self.return_range.lerp_(found, self._settings.return_rate)

    def state(self) -> State:
        """Returns copies of weights and optimisers by name."""
        modules = {'actor': self.actor, 'critic': self.critic, 'slow_critic': self.slow_critic}
        states = [module_state(name, module) for name, module in modules.items()]
        states += [optimizer_state('optimizer.actor', self._actor_optimizer)]
        states += [optimizer_state('optimizer.critic', self._critic_optimizer)]
        return {'return_range': self.return_range.clone()} | {k: v for each in states for k, v in each.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes everything back."""
        load_module('actor', self.actor, state)
        load_module('critic', self.critic, state)
        load_module('slow_critic', self.slow_critic, state)
        load_optimizer('optimizer.actor', self._actor_optimizer, state)
        load_optimizer('optimizer.critic', self._critic_optimizer, state)
        self.return_range = state['return_range'].clone()
