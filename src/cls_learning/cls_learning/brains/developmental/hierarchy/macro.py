"""Predictors at two time scales over the same tokens, and the encoder of action chunks that the far one uses.

The form of HWM (2026, arXiv 2604.03208): the near predictor takes one action, the far one a macro-action, which is the
code of `span` actions in a row; both predict tokens of the same autoencoder. So the far prediction can be the goal of a
planner that uses the near predictor.

Shapes: B batch, N tokens of width D, A length of an action, M length of a macro-action, H x W picture.
"""

from collections.abc import Iterable
from typing import Final

import torch
from torch import nn, Tensor

from ..networks.contract import Predicted, Predictor
from ..networks.local import bounded, LocalAutoencoder, LocalLayer
from ..picture_losses import CROSS_ENTROPY, output_at_mean, PICTURE_LOSSES

_LAYERS: Final = 2  # of each stage
_GRADIENT_NORM = 1.0
# Weight of the squared error of tokens beside the loss of the picture: an action changes few of the tokens.
_TOKEN_WEIGHT = 40.0
# Rows of a batch whose predictions are decoded too, which costs more than all the rest.
_DECODED = 4


class ChunkEncoder(nn.Module):
    """Codes a chunk of actions as one macro-action.

    Args:
        span: actions of a chunk. action_size: A. size: M.
    """

    def __init__(self, span: int, action_size: int, size: int = 32) -> None:
        super().__init__()
        self.span, self.size = span, size
        # Linear: what is not, is left to the layers of the predictor.
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(span * action_size, size), nn.Tanh())

    def forward(self, chunks: Tensor) -> Tensor:
        """Returns macro-actions (B, M) in -1..1 of chunks (B, span, A)."""
        code: Tensor = self.layers(chunks)
        return code


class FarPredictor(Predictor):
    """Predicts the tokens after a macro-action, by stages that each predict an equal part of its span.

    Each stage can be trained with what was seen at its end: without, an object that moves across many tokens in one
    step is not learned in minutes. A stage has two local layers; a rollout of the near predictor has three an action.

    Args:
        grid: rows and columns of the tokens. width, macro_size: D and M. stages: a divisor of the span.
    """

    context = 1

    def __init__(
        self, grid: tuple[int, int], width: int, macro_size: int, stages: int = 4, joins_edges: bool = True
    ) -> None:
        super().__init__()
        self._grid, self.stages = grid, stages
        self.places = nn.Parameter(torch.zeros(*grid, width))
        self.layers = nn.ModuleList(
            LocalLayer(width, macro_size, joins_edges=joins_edges) for _ in range(_LAYERS * stages)
        )
        self.change = nn.ModuleList(nn.Linear(width, width) for _ in range(stages))

    def forward(self, tokens: Tensor, actions: Tensor, with_attention: bool = False) -> Predicted:
        """See Predictor."""
        return Predicted(self.each_stage(tokens[:, -1], actions[:, -1])[-1])

    def each_stage(self, tokens: Tensor, macros: Tensor, forced: Tensor | None = None) -> list[Tensor]:
        """Returns the tokens (B, N, D) at the end of each stage.

        Args:
            tokens: float32 (B, N, D), at the start. macros: float32 (B, M).
            forced: float32 (B, stages, N, D), tokens at which each stage begins in the first half of the rows, where
                otherwise it begins at those that the stage before predicts; None: in no row.
        """
        found = []
        for k, change in enumerate(self.change):
            if forced is not None:
                half = len(tokens) // 2
                tokens = torch.cat([forced[:half, k], tokens[half:]])
            state = tokens.view(len(tokens), *self._grid, -1) + self.places
            for layer in self.layers[_LAYERS * k : _LAYERS * (k + 1)]:
                state, _ = layer(state, macros)
            tokens = bounded(tokens + change(state).flatten(1, 2))
            found.append(tokens)
        return found


class TwoScales(nn.Module):
    """Autoencoder, near and far predictor, and encoder of chunks.

    Args:
        near: for actions of length A. far: for macro-actions of length M. chunks: from one to the other.
    """

    def __init__(self, autoencoder: LocalAutoencoder, near: Predictor, far: FarPredictor, chunks: ChunkEncoder) -> None:
        super().__init__()
        self.autoencoder, self.near, self.far, self.chunks = autoencoder, near, far, chunks

    def encode(self, pictures: Tensor) -> Tensor:
        """Returns tokens (B, N, D) of pictures (B, 3, H, W)."""
        return self.autoencoder.encode(pictures)

    def near_step(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Returns the tokens (B, N, D) after one action (B, A)."""
        predicted: Tensor = self.near(tokens[:, None], actions[:, None]).tokens
        return predicted

    def far_step(self, tokens: Tensor, macros: Tensor) -> Tensor:
        """Returns the tokens (B, N, D) after one macro-action (B, M)."""
        predicted: Tensor = self.far(tokens[:, None], macros[:, None]).tokens
        return predicted

    def near_rollout(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Returns the tokens after all actions (B, T, A), one after another."""
        for action in actions.unbind(1):
            tokens = self.near_step(tokens, action)
        return tokens

    def far_rollout(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Returns the tokens after all actions (B, T, A), `span` at a time; T is a multiple of it."""
        span = self.chunks.span
        for k in range(0, actions.shape[1], span):
            tokens = self.far_step(tokens, self.chunks(actions[:, k : k + span]))
        return tokens


class TwoScaleTrainer:
    """Trains both scales from windows of transitions, each with an optimiser of its own.

    The near scale trains the autoencoder too: by the loss of its pictures, by that of the picture decoded after two
    predicted steps, and by the squared error of their tokens, against targets without gradient. The autoencoder cannot
    collapse, since it must decode. The far scale takes tokens as they are; its loss is their squared error after each
    stage. Half of the rows begin each stage with true tokens (Williams and Zipser 1989), so that all stages learn at
    the same time; the other half teaches them to go on with predicted ones.

    Args:
        rates: learning rates of the near and the far scale.
    """

    def __init__(self, model: TwoScales, rates: tuple[float, float] = (4e-3, 3e-3), loss: str = CROSS_ENTROPY) -> None:
        self.model, self._loss = model, loss
        near, far = (model.autoencoder, model.near), (model.far, model.chunks)
        self._near = torch.optim.Adam([p for part in near for p in part.parameters()], rates[0])
        self._far = torch.optim.Adam([p for part in far for p in part.parameters()], rates[1])
        self._is_new = True

    def set_far_rate(self, rate: float) -> None:
        """Sets the learning rate of the far scale."""
        for group in self._far.param_groups:
            group['lr'] = rate

    def update_near(self, pictures: Tensor, actions: Tensor) -> float:
        """Takes one step on a batch of windows and returns its loss.

        Args:
            pictures: float32 (B, 3, 3, H, W), three in a row. actions: float32 (B, 2, A), between them.
        """
        model = self.model
        if self._is_new:
            model.autoencoder.begin_at(output_at_mean(self._loss, pictures.flatten(0, 1)))
            self._is_new = False
        flat = model.encode(pictures.flatten(0, 1))
        tokens = flat.view(*pictures.shape[:2], *flat.shape[1:])
        first = model.near_step(tokens[:, 0], actions[:, 0])
        second = model.near_step(first, actions[:, 1])
        of_pictures = self._of_pictures(tokens[:, 0], pictures[:, 0]) + self._of_pictures(second, pictures[:, 2])
        of_tokens = nn.functional.mse_loss(torch.stack([first, second], 1), tokens[:, 1:].detach())
        return _step(self._near, of_pictures + _TOKEN_WEIGHT * of_tokens)

    def update_far(self, tokens: Tensor, actions: Tensor) -> float:
        """Takes one step on a batch of windows and returns its loss.

        Args:
            tokens: float32 (B, stages + 1, N, D), of the pictures at the start and at the end of each stage; as long as
                the near scale is not trained, each picture has to be encoded only once.
            actions: float32 (B, span, A).
        """
        predicted = self.model.far.each_stage(tokens[:, 0], self.model.chunks(actions), tokens[:, :-1])
        return _step(self._far, nn.functional.mse_loss(torch.stack(predicted, 1), tokens[:, 1:]))

    def _of_pictures(self, tokens: Tensor, pictures: Tensor) -> Tensor:
        return PICTURE_LOSSES[self._loss](self.model.autoencoder.decode(tokens[:_DECODED]), pictures[:_DECODED])


def _step(optimizer: torch.optim.Adam, loss: Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(_weights(optimizer), _GRADIENT_NORM)
    optimizer.step()
    return float(loss.detach())


def _weights(optimizer: torch.optim.Adam) -> Iterable[Tensor]:
    return (weight for group in optimizer.param_groups for weight in group['params'])
