"""The default networks: patches as tokens on a grid, layers that mix neighbours, and actions by FiLM.

A small object fills few tokens, and moves to tokens nearby: a depthwise convolution over the grid (ConvNeXt, Liu et al.
2022) learns that from a few hundred pictures, plain attention does not. FiLM (Perez et al. 2018) lets an action change
every token. The decoder begins at the mean of the first picture, as the prior of RetinaNet does (Lin et al. 2017), and
does not have to learn that most pixels are dark.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.errors import UserError

from ..settings import NetworkSettings
from .action_embedding import check_routes
from .contract import Autoencoder, Predicted, Predictor
from .transformer import ACTION, FRAME

_FILM_HIDDEN, _EXPANSION, _KERNEL = 64, 2, 5
# Largest weight of an untrained decoder, whose pictures are nearly those of its bias.
_SMALL = 0.03


def bounded(tokens: Tensor) -> Tensor:
    """Returns tokens (..., D) with mean 0 and deviation 1 each, so that long rollouts stay in range."""
    return nn.functional.layer_norm(tokens, tokens.shape[-1:])


class LocalLayer(nn.Module):
    """One layer over a grid of tokens: mixes neighbours, attends to all tokens if it has heads, then each token alone.

    Args:
        width: numbers of a token, D. action_size: length of the code of an action, 0 for a layer without actions.
        heads: of the attention over all tokens and one of the action, 0: none.
        joins_edges: opposite edges of the picture are neighbours.
    """

    def __init__(self, width: int, action_size: int = 0, heads: int = 0, joins_edges: bool = True) -> None:
        super().__init__()
        padding: Literal['circular', 'zeros'] = 'circular' if joins_edges else 'zeros'
        self.norm_mix, self.norm_alone = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Conv2d(width, width, _KERNEL, padding=_KERNEL // 2, padding_mode=padding, groups=width)
        self.alone = nn.Sequential(
            nn.Linear(width, _EXPANSION * width), nn.GELU(), nn.Linear(_EXPANSION * width, width)
        )  # fmt: skip
        self.film: nn.Sequential | None = None
        if action_size:
            last = nn.Linear(_FILM_HIDDEN, 2 * width)
            self.film = nn.Sequential(nn.Linear(action_size, _FILM_HIDDEN), nn.GELU(), last)
            # It begins as the identity.
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.attention: nn.MultiheadAttention | None = None
        if heads:
            self.norm_attention = nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
            self.action_token = nn.Linear(action_size, width)
            nn.init.zeros_(self.attention.out_proj.weight)

    def forward(
        self, tokens: Tensor, action: Tensor | None = None, with_attention: bool = False, without: Sequence[str] = ()
    ) -> Any:
        """Returns tokens (B, gh, gw, D), and the attention (B, heads, N, N + 1), last the action; None without.

        Args:
            without: see `LocalPredictor.forward`.
        """
        own = self.norm_mix(tokens)
        if self.film is not None and 'film' not in without:
            scale, shift = self.film(action)[:, None, None].chunk(2, -1)
            own = own * (1 + scale) + shift
        tokens = tokens + self.mix(own.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        seen = None
        if self.attention is not None:
            flat = self.norm_attention(tokens).flatten(1, 2)
            keys = torch.cat([flat, self.action_token(action)[:, None]], 1)
            hidden = None
            if 'token' in without:
                hidden = torch.zeros(keys.shape[:2], dtype=torch.bool, device=keys.device)
                hidden[:, -1] = True
            found, seen = self.attention(flat, keys, keys, hidden, with_attention, average_attn_weights=False)
            tokens = tokens + found.view_as(tokens)
        return tokens + self.alone(self.norm_alone(tokens)), seen


class LocalAutoencoder(Autoencoder):
    """Linear patches, local layers, and a linear decoder of each token.

    Hidden patches are replaced by one learned token (SimMIM, Xie et al. 2022), so that the grid stays whole.

    Args:
        patch: px, a divisor of height and width.
    """

    def __init__(
        self, size: tuple[int, int] = (224, 224), patch: int = 16, width: int = 128, layers: int = 1,
        joins_edges: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.width = size, width
        self.grid = (size[0] // patch, size[1] // patch)
        self.tokens = self.grid[0] * self.grid[1]
        # Without a layer that mixes patches, a hidden one can not be inferred from the others.
        self.masks = layers > 0
        self._patch = patch
        self.embed = nn.Linear(3 * patch**2, width)
        self.hidden = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(LocalLayer(width, joins_edges=joins_edges) for _ in range(layers))
        self.fill = nn.Linear(width, 3 * patch**2)
        nn.init.uniform_(self.fill.weight, -_SMALL, _SMALL)

    @torch.no_grad()
    def begin_at(self, output: Tensor) -> None:
        """See Autoencoder."""
        self.fill.bias.copy_(output.repeat_interleave(self._patch**2))

    def encode(self, pictures: Tensor) -> Tensor:
        """See Autoencoder."""
        return self._encode(self._embed(pictures))

    def _embed(self, pictures: Tensor) -> Tensor:
        """Returns the patches as tokens (B, gh, gw, D)."""
        (rows, columns), side = self.grid, self._patch
        patches = pictures.reshape(-1, 3, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5)
        tokens: Tensor = self.embed(patches.flatten(3))
        return tokens

    def _encode(self, tokens: Tensor) -> Tensor:
        for layer in self.layers:
            tokens, _ = layer(tokens)
        return bounded(tokens.flatten(1, 2))

    def decode(self, tokens: Tensor) -> Tensor:
        """See Autoencoder."""
        (rows, columns), side = self.grid, self._patch
        patches = self.fill(tokens).view(-1, rows, columns, 3, side, side)
        found: Tensor = patches.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, *self.size)
        return found

    def reconstruct(self, pictures: Tensor, hidden: float, generator: np.random.Generator) -> Tensor:
        """See Autoencoder."""
        tokens = self._embed(pictures)
        count = round(hidden * self.tokens) if self.masks else 0
        if count:
            order = torch.from_numpy(generator.random((len(pictures), self.tokens), np.float32)).argsort(1)
            is_hidden = (order < count).view(-1, *self.grid, 1).to(tokens.device)
            tokens = torch.where(is_hidden, self.hidden, tokens)
        return self.decode(self._encode(tokens))


class LocalPredictor(Predictor):
    """Predicts the change of each token, by members that share all layers but the last.

    The layers before the first action are computed once for all actions of a `sweep`.

    Args:
        grid: rows and columns of the tokens. action_size: length of an action, A. context: pictures, C.
        layers: with the action. heads: of the attention of the first of them. members: E.

    Attributes:
        routes: by which the last action reaches the prediction: `film`, and `token` if there is attention.
    """

    def __init__(
        self, grid: tuple[int, int] = (14, 14), width: int = 128, action_size: int = 1, context: int = 2,
        layers: int = 2, heads: int = 4, members: int = 3, joins_edges: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.context, self.members, self._grid = context, members, grid
        self.routes = ('film', 'token') if heads else ('film',)
        self._older = context - 1
        self.places = nn.Parameter(torch.zeros(*grid, width))
        if self._older:
            self.older = nn.Linear(self._older * (width + action_size), width)
            nn.init.zeros_(self.older.weight)
        self.history = LocalLayer(width, joins_edges=joins_edges)
        self.layers = nn.ModuleList(
            LocalLayer(width, action_size, 0 if k else heads, joins_edges) for k in range(layers)
        )
        self.change = nn.ModuleList(nn.Linear(width, width) for _ in range(members))

    def token_types(self, pictures: int, tokens: int) -> Tensor:
        """Returns the types of what each token of a picture attends to, int64 (N + 1,): its frame and the last action.

        Args:
            pictures: C; earlier ones enter each token, and are no tokens of their own. tokens: N.
        """
        return torch.tensor([FRAME] * tokens + [ACTION])

    def forward(
        self, tokens: Tensor, actions: Tensor, with_attention: bool = False, without: Sequence[str] = ()
    ) -> Predicted:
        """See Predictor; the mean of its members.

        Args:
            without: routes of the last action that are left out: `film` (features pass unscaled), `token` (no token
                attends to it).
        """
        check_routes(without, self.routes)
        history = self._history(tokens, actions[:, :-1])
        found, attention = self._after(history, actions[:, -1], with_attention, without)
        change = torch.stack([member(found) for member in self.change]).mean(0)
        return Predicted(bounded(tokens[:, -1] + change.flatten(1, 2)), attention)

    def each_member(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """See Predictor."""
        found, _ = self._after(self._history(tokens, actions[:, :-1]), actions[:, -1])
        return bounded(torch.stack([tokens[:, -1] + member(found).flatten(1, 2) for member in self.change]))

    def sweep(self, tokens: Tensor, earlier: Tensor, candidates: Tensor) -> Tensor:
        """See Predictor."""
        history = self._history(tokens, earlier).expand(len(candidates), -1, -1, -1)
        found, _ = self._after(history, candidates)
        return bounded(torch.stack([tokens[:, -1] + member(found).flatten(1, 2) for member in self.change]))

    def _history(self, tokens: Tensor, earlier: Tensor) -> Tensor:
        count, pictures = tokens.shape[:2]
        newest = tokens[:, -1].view(count, *self._grid, -1) + self.places
        if self._older:
            parts = [torch.cat([tokens[:, k], earlier[:, k, None].expand(-1, tokens.shape[2], -1)], -1)
                     for k in range(pictures - 1)]  # fmt: skip
            absent = self._older - len(parts)
            size = tokens.shape[-1] + earlier.shape[-1]
            if absent:
                parts.insert(0, tokens.new_zeros(count, tokens.shape[2], absent * size))
            newest = newest + self.older(torch.cat(parts, -1)).view_as(newest)
        history: Tensor = self.history(newest)[0]
        return history

    def _after(
        self, history: Tensor, action: Tensor, with_attention: bool = False, without: Sequence[str] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        attention = []
        for layer in self.layers:
            history, seen = layer(history, action, with_attention, without)
            if seen is not None:
                attention.append(seen)
        return history, tuple(attention)


def make_autoencoder(own: NetworkSettings) -> LocalAutoencoder:
    """Makes an untrained autoencoder."""
    return LocalAutoencoder((own.size, own.size), own.patch, own.width, own.encoder_layers, own.joins_edges)


def make_predictor(own: NetworkSettings, autoencoder: Autoencoder, action_size: int) -> LocalPredictor:
    """Makes an untrained predictor; raises UserError for the tokens of another autoencoder, which have no grid."""
    if not isinstance(autoencoder, LocalAutoencoder):
        raise UserError(
            "parameter 'network.autoencoder'", expected="'local', with the predictor 'local'", found=own.autoencoder
        )
    return LocalPredictor(
        autoencoder.grid, own.width, action_size, own.context, own.layers, own.heads, own.members, own.joins_edges
    )
