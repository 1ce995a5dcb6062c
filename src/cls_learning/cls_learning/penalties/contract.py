"""The contract of penalties: weights that earlier tasks need are held near the values that they had then.

After each task, weights are anchored and their importance is measured. From then on

    loss = weight / 2 x (sum over weights of importance x (theta - centre)^2 + offset)

is added to the loss of training. Implementations differ in how they measure importance. One lambda convention, that of
Kirkpatrick et al. (2017), holds for all; papers without the factor 1/2 name half of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError

from ..space_change import Fold, pull_back, SpaceChange
from .samples import Sample
from .settings import PenaltySettings

Named = dict[str, Tensor]


class Divergence(NamedTuple):
    """How far weights have moved from an anchor.

    Attributes:
        l2: mean over tensors of the L2 norm of the change.
        weighted: square root of the sum over weights of importance x change^2, the Fisher norm for `ewc`.
    """

    l2: float
    weighted: float


class Penalty(ABC):
    """A quadratic penalty; its size does not grow with the number of anchors.

    Attributes:
        weights: parameters by name, changed in place by an optimiser.
        anchors: how many were made.
    """

    def __init__(self, weights: Mapping[str, Tensor], settings: PenaltySettings) -> None:
        self.weights = dict(weights)
        self.settings = settings
        self.anchors = 0
        # Of one quadratic that holds for all anchors; `latest` is the newest one. All are empty before the first.
        self._centre: Named = {}
        self._importance: Named = {}
        self._latest: Named = {}
        self._offset = 0.0
        self._factor = settings.weight * (1.0 if settings.tasks == 'reference' else 0.5)

    @abstractmethod
    def importance(self, samples: Iterable[Sample], generator: np.random.Generator) -> Named:
        """Returns the importance of each weight at present, at least 0, by name; arguments as `anchor`."""

    def begin(self) -> None:  # noqa: B027 - most do nothing
        """Begins a task at the present weights, which changed by other means than steps since the last anchor."""

    def after_step(self, clip: float = 1.0) -> None:  # noqa: B027 - most do nothing
        """Follows an optimiser step; weights still have the gradients of that step.

        Args:
            clip: factor by which the gradients were multiplied to limit their norm.
        """

    def loss(self) -> Tensor:
        """Returns the penalty, 0-d: exactly 0 before the first anchor and, where there is one anchor, at it."""
        if not self.anchors:
            return next(iter(self.weights.values())).new_zeros(())
        terms = [(self._importance[name] * (w - self._centre[name]).square()).sum() for name, w in self.weights.items()]
        return self._factor * (torch.stack(terms).sum() + self._offset)

    def gradient(self, at: Named) -> Named:
        """Returns the gradient of the penalty at other values of the weights; empty before the first anchor."""
        return {name: 2.0 * self._factor * f * (at[name] - self._centre[name]) for name, f in self._importance.items()}

    def anchor(self, samples: Iterable[Sample], generator: np.random.Generator) -> Divergence:
        """Measures the importance of the weights and anchors them where they are.

        Args:
            samples: of the task that was learned, made one by one while they are used; the state of a recurrent network
                is reset or rebuilt for each. Not used by every penalty.
            generator: of random draws, where the penalty makes any.

        Returns:
            the divergence from the anchor before: after this call it is 0.

        Raises:
            UserError: no sample, or an importance that is not finite; nothing has changed then.
        """
        found, moved = self.importance(samples, generator), self.divergence()
        if not all(bool(torch.isfinite(each).all()) for each in found.values()):
            raise UserError('importance of weights', expected='finite numbers', found='NaN or infinity in a gradient')
        if self.settings.normalise:
            total = sum(float(f.sum(dtype=torch.float64)) for f in found.values())
            mean = total / sum(map(Tensor.numel, found.values()))
            found = {name: f / mean if mean > 0 else f for name, f in found.items()}
        self._latest = self.values()
        self._merge(found)
        self.anchors += 1
        return moved

    @torch.no_grad()
    def _merge(self, found: Named) -> None:
        """Makes one quadratic of the one before and a new one around the present weights."""
        if not self.anchors or self.settings.tasks != 'sum':
            is_kept = self.anchors and self.settings.tasks == 'online'
            decay = self.settings.decay if is_kept else 0.0
            self._importance = {name: f + decay * self._importance.get(name, 0.0) for name, f in found.items()}
            self._centre = self.values()
            return
        for name, now in self._latest.items():
            # a (x - c)^2 + b (x - n)^2 = (a + b) (x - m)^2 + a b / (a + b) (c - n)^2, where m = (a c + b n) / (a + b)
            old, new, change = self._importance[name], found[name], now - self._centre[name]
            share = torch.where(old + new > 0, new / (old + new), 1.0)
            self._offset += float((old * share * change.square()).sum(dtype=torch.float64))
            self._centre[name] = self._centre[name] + share * change
            self._importance[name] = old + new

    @torch.no_grad()
    def divergence(self) -> Divergence:
        """Returns how far the weights have moved since the newest anchor; zeros before the first."""
        if not self.anchors:
            return Divergence(0.0, 0.0)
        changes = {name: now - self._latest[name] for name, now in self.weights.items()}
        squares = sum(float((self._importance[name] * d.square()).sum()) for name, d in changes.items())
        return Divergence(float(np.mean([float(d.norm()) for d in changes.values()])), squares**0.5)

    def values(self) -> Named:
        """Returns copies of the present weights by name."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def fold(self, fold: Fold, change: SpaceChange) -> None:
        """Follows weights that a change of normalised values was folded into.

        Anchors fold like weights, so that no distance arises. Importance follows like squared gradients, of which
        products between weights are not known and taken as 0, and keeps its share in a loss of squared differences.
        """
        if not self.anchors:
            return
        change = change.to(next(iter(self.weights.values())).device)
        per_loss = 1.0 / change.ratio.square()
        importance = pull_back(fold, self._centre, self._importance, change.inverse().squared())
        self._importance = {name: (f * per_loss).to(self.weights[name].dtype) for name, f in importance.items()}
        self._offset *= float(per_loss)
        self._centre, self._latest = folded(self._centre, fold, change), folded(self._latest, fold, change)

    def state(self) -> Named:
        """Returns the state as named tensors on the CPU, the weights themselves excluded; empty before an anchor."""
        if not self.anchors:
            return {}
        numbers = {'anchors': torch.tensor(self.anchors), 'offset': torch.tensor(self._offset, dtype=torch.float64)}
        parts = {'centre': self._centre, 'importance': self._importance, 'latest': self._latest}
        return numbers | named(parts)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state; call it after the weights were restored.

        Raises:
            KeyError: a part is missing. ValueError: one has another shape than its weight.
        """
        self.anchors = int(state['anchors']) if 'anchors' in state else 0
        self._offset = float(state['offset']) if self.anchors else 0.0
        parts = ('centre', 'importance', 'latest')
        self._centre, self._importance, self._latest = (
            self.restored(part, state) if self.anchors else {} for part in parts
        )

    def restored(self, part: str, state: Mapping[str, Tensor]) -> Named:
        """Returns one part of a state, with a tensor for each weight; errors as `load`."""
        found = {name: state[f'{part}.{name}'].to(weight, copy=True) for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            if found[name].shape != weight.shape:
                raise ValueError(
                    f'{part}.{name}: expected shape {tuple(weight.shape)}, found {tuple(found[name].shape)}'
                )
        return found


def named(parts: Mapping[str, Named]) -> Named:
    """Returns copies of the tensors of several parts as `<part>.<weight>`, on the CPU."""
    return {f'{part}.{name}': t.cpu().clone() for part, tensors in parts.items() for name, t in tensors.items()}


def folded(values: Named, fold: Fold, change: SpaceChange) -> Named:
    """Returns values of weights after a change was folded into them, in double precision."""
    new = fold({name: value.double() for name, value in values.items()}, change)
    return {name: new[name].to(value.dtype) for name, value in values.items()}
