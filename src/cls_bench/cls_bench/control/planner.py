"""A planner over an ensemble of small networks, after PETS (Chua et al. 2018): it learns a model and no policy.

Simpler than PETS: the networks predict means without variance, and reward and continuation are learned too.
"""

from itertools import pairwise

import torch
from torch import nn, Tensor

from cls_learning.learners.optimisation import make_adam, step

MEMBERS, HIDDEN = 5, 64
# Candidates of each iteration of the cross-entropy method, the best of which the next one is drawn from; steps ahead.
CANDIDATES, ELITES, ITERATIONS, HORIZON = 32, 6, 2, 25
_SMALLEST = 1e-3


class Ensemble(nn.Module):
    """K networks that predict the change of a state, its reward and whether the episode goes on.

    Args:
        size, actions: numbers of a state, S, and of an action, A.
    """

    def __init__(self, size: int, actions: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = (size + actions, HIDDEN, HIDDEN, size + 2)
        self._weights = nn.ParameterList(
            torch.randn(MEMBERS, a, b, generator=generator) / a**0.5 for a, b in pairwise(sizes)
        )
        self._biases = nn.ParameterList(torch.zeros(MEMBERS, 1, b) for b in sizes[1:])
        self.mean, self.scale, self.change = torch.zeros(size), torch.ones(size), torch.ones(size)

    def set_scale(self, states: Tensor, changes: Tensor) -> None:
        """Takes mean and spread of states, and the spread of their changes; both (N, S)."""
        self.mean, self.scale = states.mean(0), states.std(0, correction=0).clamp(min=_SMALLEST)
        self.change = changes.square().mean(0).sqrt().clamp(min=_SMALLEST * self.scale)

    def forward(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicts one step of each member from states (K, B, S) and actions (K, B, A).

        Returns:
            changes in units of their spread (K, B, S), rewards (K, B), logits of going on (K, B).
        """
        out = torch.cat([(state - self.mean) / self.scale, action], -1)
        for k, (weight, bias) in enumerate(zip(self._weights, self._biases)):
            out = torch.baddbmm(bias, nn.functional.silu(out) if k else out, weight)
        return out[..., :-2], out[..., -2], out[..., -1]


class Planner:
    """The ensemble, its optimiser, and model-predictive control by the cross-entropy method.

    Args:
        levels: values of each action: 0: continuous in [-1, 1], else so many evenly spaced ones.
    """

    def __init__(self, size: int, levels: tuple[int, ...], seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.model = Ensemble(size, len(levels), self._generator)
        self._levels = torch.tensor(levels)
        self._optimizer = make_adam(self.model, 1e-3)

    def random(self, count: int) -> Tensor:
        """Draws actions, (count, A)."""
        return self._snap(2.0 * torch.rand(count, len(self._levels), generator=self._generator) - 1.0)

    def learn(self, rows: dict[str, Tensor], updates: int, batch: int = 128) -> None:
        """Trains each member on random rows of its own.

        Args:
            rows: before, after (N, S), action (N, A), reward, terminal (N,).
        """
        change = rows['after'] - rows['before']
        self.model.set_scale(rows['before'], change)
        for _ in range(updates):
            at = torch.randint(len(change), (MEMBERS, batch), generator=self._generator)
            guess, reward, goes_on = self.model(rows['before'][at], rows['action'][at])
            loss = (guess - change[at] / self.model.change).square().mean() + (
                reward - rows['reward'][at]
            ).square().mean()
            loss = loss + nn.functional.binary_cross_entropy_with_logits(goes_on, 1.0 - rows['terminal'][at])
            step(self._optimizer, loss, 10.0)

    @torch.inference_mode()
    def plan(self, states: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Returns the next action, (B, A), in each of some states (B, S).

        Args:
            generator: of an evaluation, so that it changes nothing of the run; None: the planner's own.
        """
        batch, actions = len(states), len(self._levels)
        mean, std = torch.zeros(batch, 1, HORIZON, actions), torch.ones(batch, 1, HORIZON, actions)
        for _ in range(ITERATIONS):
            noise = torch.randn(batch, CANDIDATES, HORIZON, actions, generator=generator or self._generator)
            candidates = (mean + std * noise).clamp(-1.0, 1.0)
            best = self._returns(states, candidates).topk(ELITES, dim=1).indices
            elites = candidates.gather(1, best[:, :, None, None].expand(-1, -1, HORIZON, actions))
            mean, std = elites.mean(1, keepdim=True), elites.std(1, keepdim=True)
        return self._snap(mean[:, 0, 0])

    def _returns(self, states: Tensor, candidates: Tensor) -> Tensor:
        """Returns the mean return over members, (B, N), of candidates (B, N, H, A)."""
        shape = candidates.shape[:2]
        actions = self._snap(candidates).flatten(0, 1).expand(MEMBERS, -1, -1, -1)  # (K, B N, H, A)
        state = states.repeat_interleave(shape[1], 0).expand(MEMBERS, -1, -1)
        total, reached = torch.zeros(state.shape[:2]), torch.ones(state.shape[:2])
        for k in range(HORIZON):
            change, reward, goes_on = self.model(state, actions[:, :, k])
            state = state + change * self.model.change
            total = total + reached * reward
            reached = reached * torch.sigmoid(goes_on)
        return total.mean(0).view(shape)

    def _snap(self, units: Tensor) -> Tensor:
        """Returns actions (..., A) in [-1, 1] with discrete ones at the nearest of their values."""
        steps = (self._levels - 1).clamp(min=1)
        snapped = ((units + 1.0) / 2.0 * steps).round() * 2.0 / steps - 1.0
        return torch.where(self._levels > 0, snapped, units)
