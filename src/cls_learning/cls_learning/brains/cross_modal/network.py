"""Cross-modal network: an encoder for each sense, attention between senses, recurrent memory, actions.

The sizes of the original system (two senses of 64, 128 units, 32 outputs, 4 heads) give 235,424 parameters.
"""

from collections.abc import Mapping

import torch
from torch import nn, Tensor

# Share of the internal state of the step before that is added to the fused senses.
FEEDBACK = 0.3


class CrossModalNetwork(nn.Module):
    """Fuses what several senses give into one recurrent state, and reads actions from it.

    Args:
        sizes: length of the vector of each sense, by name; one or several.
        hidden: units of every layer, a multiple of `heads`. outputs: length of an action, A.
        feedback: share of the internal state before that is added to the fused vector.
        has_duration: whether the duration of the step before is an input.
    """

    def __init__(
        self, sizes: Mapping[str, int], hidden: int, outputs: int, heads: int = 4, feedback: float = FEEDBACK,
        *, has_duration: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
                for name, size in sizes.items()
            }
        )
        self.attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.memory = nn.GRUCell(hidden, hidden)
        self.actions = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.duration = nn.Linear(1, hidden, bias=False) if has_duration else None
        self.hidden, self._feedback = hidden, feedback

    def initial(self, batch: int) -> Tensor:
        """Returns the internal state in which nothing has been sensed, zeros (B, hidden)."""
        return torch.zeros(batch, self.hidden)

    def forward(
        self, state: Tensor, senses: Mapping[str, Tensor], present: Mapping[str, Tensor], extra: Tensor | None = None
    ) -> Tensor:
        """Takes in one step and returns the next internal state, (B, hidden).

        Feedback is the internal state within +-1 (a GRU's state is), so that it stays bounded however long it runs.

        Args:
            state: before, (B, hidden).
            senses: normalised, (B, S) each.
            present: by sense, bool (B,): whether it is heeded; where none is, the feedback alone goes in.
            extra: nominal steps by which the step before took longer than one, (B, 1); needs `has_duration`.
        """
        tokens = torch.stack([encoder(senses[name]) for name, encoder in self.encoders.items()], dim=1)  # (B, M, H)
        heeded = torch.stack([present[name] for name in self.encoders], dim=1)  # (B, M)
        # Attention over no token at all is not defined: there all are attended to, and left out of the mean.
        ignored = ~heeded & heeded.any(dim=1, keepdim=True)
        fused, _ = self.attention(tokens, tokens, tokens, key_padding_mask=ignored, need_weights=False)
        share = heeded.float() / heeded.sum(dim=1, keepdim=True).clamp(min=1)
        mixed = (fused * share[..., None]).sum(dim=1) + self._feedback * state
        after: Tensor = self.memory(mixed if self.duration is None else mixed + self.duration(extra), state)
        return after

    def act(self, state: Tensor) -> Tensor:
        """Returns actions (B, A), unbounded, from internal states (B, hidden)."""
        actions: Tensor = self.actions(state)
        return actions


class Predictor(nn.Module):
    """Predicts the change of every sense, and the reward, from the internal state, the senses and an action.

    A linear path leads past the hidden layer: what is linear in the world is learned from few steps. Untrained it
    predicts no change and no reward.
    """

    def __init__(self, sizes: Mapping[str, int], hidden: int, action_size: int) -> None:
        super().__init__()
        self._sizes = dict(sizes)
        width = sum(sizes.values())
        self.hidden = nn.Sequential(nn.Linear(hidden + action_size, 2 * hidden), nn.ReLU())
        self.output = nn.Linear(2 * hidden, width + 1)
        self.linear = nn.Linear(width + action_size, width + 1)
        for layer in (self.output, self.linear):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, state: Tensor, senses: Mapping[str, Tensor], code: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Args: state (B, hidden), senses normalised (B, S) each, code of the action (B, E).

        Returns:
            changes by sense (B, S), in units of their own spread, and the reward (B,).
        """
        direct = torch.cat([*(senses[name] for name in self._sizes), code], dim=-1)
        out = self.output(self.hidden(torch.cat([state, code], dim=-1))) + self.linear(direct)
        *changes, reward = out.split([*self._sizes.values(), 1], dim=-1)
        return dict(zip(self._sizes, changes)), reward[..., 0]
