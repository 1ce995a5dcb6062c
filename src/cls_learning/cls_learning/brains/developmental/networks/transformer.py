"""Transformer predictor over tokens of pictures and actions in turn (Vaswani et al. 2017).

Sequence: N tokens of a picture, its action, N tokens of the next, its action, ..., then N queries of the future, one
for each token of the predicted picture. A token attends to those before it and to itself.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn, Tensor

from cls_common.errors import UserError

from ..settings import NetworkSettings
from .action_embedding import ActionEmbedding, check_routes, EMBEDDING, Film
from .contract import Autoencoder, Predicted, Predictor

# Types of tokens.
FRAME, ACTION, FUTURE = 0, 1, 2


class TransformerPredictor(Predictor):
    """Predicts the change of the newest picture's tokens; actions enter as tokens, and the last one by FiLM too.

    Args:
        action_size: length of an action, A. width: D of a token, a multiple of `heads`. context: C.
        layers, heads, ratio, dropout: of the transformer; `ratio` gives hidden units of its perceptrons, in widths.
        capacity: longest sequence in tokens; the oldest tokens of a longer one are cut off.
        film_after: layers whose output the last action scales and shifts.
        delta: whether the output is added to the newest picture's tokens.
    """

    routes = ('token', 'film')

    def __init__(
        self,
        action_size: int,
        width: int = 256,
        context: int = 4,
        layers: int = 6,
        heads: int = 8,
        ratio: int = 4,
        dropout: float = 0.1,
        capacity: int = 4096,
        film_after: Sequence[int] = (0, 2),
        delta: bool = True,
    ) -> None:
        super().__init__()
        self.context, self.capacity, self._delta = context, capacity, delta
        self.action_embedding = ActionEmbedding(action_size)
        self.action_token = nn.Linear(EMBEDDING, width)
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.types = nn.Parameter(0.02 * torch.randn(3, width))
        self.positions = nn.Parameter(0.02 * torch.randn(capacity, width))
        self.layers = nn.ModuleList(_Layer(width, heads, ratio * width, dropout) for _ in range(layers))
        self.film = nn.ModuleDict({str(layer): Film(width) for layer in film_after if layer < layers})
        self.output = nn.Linear(width, width)

    def token_types(self, pictures: int, tokens: int) -> Tensor:
        """Returns the type of each token of the sequence, int64 (S,): FRAME, ACTION or FUTURE.

        Args:
            pictures: C, of which the oldest are cut where they exceed the capacity. tokens: N.
        """
        if tokens >= self.capacity:
            raise UserError('tokens of a picture', expected=f'fewer than {self.capacity}', found=str(tokens))
        types = ([FRAME] * tokens + [ACTION]) * pictures + [FUTURE] * tokens
        return torch.tensor(types[-self.capacity :])

    def forward(
        self, tokens: Tensor, actions: Tensor, with_attention: bool = False, without: Sequence[str] = ()
    ) -> Predicted:
        """See Predictor. Attention is what each layer really used, so it contains dropout in training.

        Args:
            without: routes of the last action that are left out: `token` (no other token attends to it), `film`
                (features pass unscaled).
        """
        check_routes(without, self.routes)
        batch, pictures, count, _ = tokens.shape
        embedded = self.action_embedding(actions)
        steps = torch.cat([tokens, self.action_token(embedded)[:, :, None]], 2).flatten(1, 2)
        sequence = torch.cat([steps, self.query.expand(batch, count, -1)], 1)[:, -self.capacity :]
        types = self.token_types(pictures, count).to(tokens.device)
        features = sequence + self.types[types] + self.positions[: len(types)]
        mask = torch.ones(len(types), len(types), dtype=torch.bool, device=tokens.device).triu(1)
        if 'token' in without:
            last = len(types) - count - 1
            mask[last + 1 :, last] = True
        maps = []
        for number, layer in enumerate(self.layers):
            features, attention = layer(features, mask, 'token' not in without, with_attention)
            maps.append(attention)
            if str(number) in self.film and 'film' not in without:
                features = self.film[str(number)](features, embedded[:, -1])
        predicted = self.output(features[:, -count:])
        predicted = tokens[:, -1] + predicted if self._delta else predicted
        return Predicted(predicted, tuple(maps) if with_attention else ())


class _Layer(nn.TransformerEncoderLayer):
    """A layer that normalises after each part, and gives its attention on request."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__(width, heads, hidden, dropout, 'gelu', batch_first=True)

    def forward(  # type: ignore[override]
        self, features: Tensor, mask: Tensor, is_causal: bool, with_attention: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns features (B, S, D) and, on request, attention (B, heads, S, S).

        Args:
            mask: bool (S, S), True where a token must not attend. is_causal: whether nothing but the future is masked.
        """
        attended, attention = self.self_attn(
            features,
            features,
            features,
            attn_mask=mask,
            is_causal=is_causal,
            need_weights=with_attention,
            average_attn_weights=False,
        )
        features = self.norm1(features + self.dropout1(attended))
        hidden = self.dropout(nn.functional.gelu(self.linear1(features)))
        return cast(Tensor, self.norm2(features + self.dropout2(self.linear2(hidden)))), attention


def make_predictor(own: NetworkSettings, autoencoder: Autoencoder, action_size: int) -> TransformerPredictor:
    """Makes an untrained predictor of the tokens of any autoencoder."""
    return TransformerPredictor(action_size, autoencoder.width, own.context, own.layers, own.heads, dropout=own.dropout)
