"""Single steps as a model sees them: reconstruction, prediction, all actions side by side, attention, effects.

A step is given as `Steps` with B = 1 (effects: any B): the pictures before, the actions, and the picture after the last
action. Nothing here trains, and dropout is off.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError

from ..model import DevelopmentalModel, Steps
from . import figures
from .attention import attention_metrics, Breakdown, breakdown, Places
from .counterfactual import action_gaps, action_sensitivity, causal_check, r2_gap
from .figures import Figure
from .measures import evaluation, explained_variance

DEFAULT_HISTORY, FEWEST, MOST = 3, 2, 8
# Difference below which two actions in -1..1 are the same.
_SAME = 1e-3


@dataclass(frozen=True)
class Reconstruction:
    """A picture (3, H, W) and the same after coding and decoding.

    Attributes:
        loss: in units of the model's loss. squared_error: mean, in units of pictures from 0 to 1.
        share: the squared error as a share of that of the picture's mean colour; NaN for a picture of one colour.
    """

    picture: Tensor
    drawn: Tensor
    loss: float
    squared_error: float
    share: float

    @property
    def figure(self) -> Figure:
        """The picture, its reconstruction and the difference."""
        return figures.reconstruction(self.picture, self.drawn)


@dataclass(frozen=True)
class Prediction:
    """The picture (3, H, W) predicted after an action, beside the picture before and the true one.

    Attributes:
        history: pictures from which it was predicted. loss, squared_error: as in `Reconstruction`.
        copy_error: squared error of the picture before. r2: explained variance.
    """

    last: Tensor
    predicted: Tensor
    actual: Tensor
    history: int
    loss: float
    squared_error: float
    copy_error: float
    r2: float

    @property
    def figure(self) -> Figure:
        """The picture before, the prediction, the picture after, and the error."""
        return figures.prediction(self.last, self.predicted, self.actual)


@dataclass(frozen=True)
class Sweep:
    """The pictures predicted for every action of the robot in place of the one that was taken.

    Attributes:
        actions: float32 (K, A) in -1..1. pictures: (K, 3, H, W). actual: what the taken action led to, (3, H, W).
        errors: mean squared errors against `actual`, K of them. taken: index of the action that was taken.
    """

    actions: Tensor
    pictures: Tensor
    actual: Tensor
    errors: tuple[float, ...]
    taken: int

    @property
    def is_nearest(self) -> bool:
        """Whether the prediction for the action that was taken is the best one."""
        return self.errors[self.taken] == min(self.errors)

    @property
    def figure(self) -> Figure:
        """All predictions, the one for the taken action framed."""
        return figures.sweep(self.pictures, self.taken)


@dataclass(frozen=True)
class Attention:
    """What one prediction attended to.

    Attributes:
        picture: the newest of the history, (3, H, W).
        layers: attention of each layer, see `inspection.attention`. types: of the tokens that are read.
        metrics: of the last layer, by name. parts: of the last layer.
        received: attention to each token of the newest picture, (N,), mean over heads and queries.
    """

    picture: Tensor
    layers: tuple[Tensor, ...]
    types: Tensor
    metrics: dict[str, float]
    parts: Breakdown
    received: Tensor

    @property
    def heat_map(self) -> Figure:
        """The first head of the last layer, a row for each token, a column for what it reads."""
        return figures.heat_map(self.layers[-1])

    @property
    def breakdown_chart(self) -> Figure:
        """A bar for each query: last action, last frame, rest."""
        return figures.breakdown_chart(self.parts)

    @property
    def figure(self) -> Figure:
        """The newest picture, and where it is attended to."""
        return figures.attended(self.picture, self.received)


def checked_history(model: DevelopmentalModel, history: int | None = None) -> int:
    """Returns the number of pictures from which to predict; None: 3, or all that the model uses, if it uses fewer.

    Raises:
        UserError: it is not in 2..8, or more than the model uses.
    """
    if history is None:
        return min(DEFAULT_HISTORY, model.context)
    most = min(MOST, model.context)
    if not FEWEST <= history <= most:
        uses = f'this model predicts from {model.context}' if model.context < MOST else f'{MOST} at most'
        expected = f'{FEWEST} to {most} pictures' if most >= FEWEST else 'none'
        raise UserError('history', expected=f'{expected}: {uses}', found=str(history), do='Leave it out.')
    return history


def reconstruct(model: DevelopmentalModel, picture: Tensor) -> Reconstruction:
    """Codes and decodes a picture (3, H, W), nothing hidden."""
    with evaluation(model):
        tokens = model.autoencoder.encode(picture[None])
        output, drawn = model.autoencoder.decode(tokens), model.draw(tokens)[0]
        error, spread = _squared(drawn, picture), float(picture.var((1, 2), correction=0).mean())
        return Reconstruction(
            picture, drawn, float(model.compare(output, picture[None])), error, error / spread if spread else np.nan
        )


def predict(model: DevelopmentalModel, steps: Steps, history: int | None = None) -> Prediction:
    """Predicts the last picture of one step from those before it; `history` as in `checked_history`."""
    steps = _last(model, steps, history)
    last, actual = steps.pictures[0, -2], steps.pictures[0, -1]
    with evaluation(model):
        tokens = model.predict(steps)
        predicted = model.draw(tokens)[0]
        loss = float(model.compare(model.autoencoder.decode(tokens), actual[None]))
    return Prediction(
        last, predicted, actual, steps.actions.shape[1], loss, _squared(predicted, actual), _squared(last, actual),
        explained_variance(predicted, actual),
    )  # fmt: skip


def sweep(model: DevelopmentalModel, steps: Steps, history: int | None = None) -> Sweep:
    """Predicts the outcome of every candidate action; one that was taken and is no candidate is added to them."""
    steps = _last(model, steps, history)
    taken, actions = steps.actions[0, -1], model.candidates
    distances = (actions - taken).abs().amax(1)
    index = int(distances.argmin())
    if distances[index] > _SAME:
        actions, index = torch.cat([actions, taken[None]]), len(actions)
    with evaluation(model):
        pictures = model.sweep(steps, actions).mean(0)
    actual = steps.pictures[0, -1]
    return Sweep(actions, pictures, actual, tuple(_squared(each, actual) for each in pictures), index)


def attend(model: DevelopmentalModel, steps: Steps, history: int | None = None) -> Attention | None:
    """Returns what the prediction of one step attended to; None for a predictor without attention."""
    steps = _last(model, steps, history)
    with evaluation(model):
        tokens = model.history(steps)
        layers = model.predictor(tokens, steps.actions, with_attention=True).attention
    token_types: Callable[[int, int], Tensor] | None = getattr(model.predictor, 'token_types', None)
    if not layers or token_types is None:
        return None
    types = token_types(*tokens.shape[1:3])
    places = Places.of(types)
    rows = layers[-1][:, :, places.queries] if places.queries.any() else layers[-1]
    received = rows.mean((0, 1, 2))[places.last_frame]
    return Attention(
        steps.pictures[0, -2], layers, types, attention_metrics(layers[-1], types), breakdown(layers[-1], types),
        received,
    )  # fmt: skip


def effects(model: DevelopmentalModel, steps: Steps, generator: np.random.Generator) -> dict[str, float]:
    """Returns by name what predictions owe to the action: counterfactual gaps, causal check, sensitivity, R2 gap.

    Args:
        steps: B steps, the more the better; actions are exchanged among them.
    """
    steps = steps.last(min(model.context, steps.actions.shape[1]))
    target, candidates = steps.pictures[:, -1], model.candidates

    def loss(tokens: Tensor) -> Tensor:
        return model.compare(model.autoencoder.decode(tokens), target)

    with evaluation(model):
        tokens = model.history(steps)
        predictor, actions = model.predictor, steps.actions
        wrong = candidates[(torch.cdist(actions[:, -1], candidates).argmin(1) + 1) % len(candidates)]
        return {
            **action_gaps(predictor, tokens, actions, loss, generator),
            **r2_gap(predictor, tokens, actions, wrong, model.draw, target),
            **causal_check(predictor, tokens, actions, loss),
            **action_sensitivity(predictor, tokens[:1], actions[:1, :-1], candidates, model.draw),
        }


def _last(model: DevelopmentalModel, steps: Steps, history: int | None) -> Steps:
    """Returns the newest pictures of one step, as many as were asked for."""
    count = checked_history(model, history)
    if history is None:
        count = min(count, steps.actions.shape[1])
    if len(steps.actions) != 1 or steps.actions.shape[1] < count:
        found = f'{len(steps.actions)} of {steps.actions.shape[1]}'
        raise UserError('steps to predict from', expected=f'one row of {count} or more in a row', found=found)
    return steps.last(count)


def _squared(one: Tensor, other: Tensor) -> float:
    return float((one - other).square().mean())
