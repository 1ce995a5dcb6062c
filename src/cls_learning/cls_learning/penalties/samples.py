"""Samples by which the importance of weights is measured: one output of a network each, with gradient.

A brain makes them one after another, so that any network can be used: whatever its forward pass is, a sample holds its
output and what happened.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError

# Gradients of several rows are computed at once, in about this many numbers.
AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Sample(ABC):
    """An output of a network, read as a distribution, and the value that happened.

    Attributes:
        output: (O,), with gradient. target: what happened; see the subclasses.
    """

    output: Tensor
    target: Tensor

    @abstractmethod
    def log_likelihood(self, target: Tensor) -> Tensor:
        """Returns the logarithm of the likelihood of a target, 0-d, up to a constant."""

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> Tensor:
        """Returns a target drawn from the distribution, without gradient."""

    @abstractmethod
    def rows(self) -> tuple[Tensor, Tensor]:
        """Returns functions (R,) and weights (R,): the Fisher information is the sum of weight x gradient^2."""


class Categorical(Sample):
    """Classes with probabilities softmax(output). target: int64 0-d, the class."""

    def log_likelihood(self, target: Tensor) -> Tensor:
        return torch.log_softmax(self.output, dim=0)[target]

    def draw(self, generator: np.random.Generator) -> Tensor:
        probabilities = torch.softmax(self.output.detach().double(), dim=0).cpu().numpy()
        return torch.tensor(int(generator.choice(len(probabilities), p=probabilities)), device=self.output.device)

    def rows(self) -> tuple[Tensor, Tensor]:
        logarithms = torch.log_softmax(self.output, dim=0)
        return logarithms, logarithms.detach().exp()


class Gaussian(Sample):
    """Values with mean `output` and variance 1, the likelihood of a squared error. target: like output, (O,)."""

    def log_likelihood(self, target: Tensor) -> Tensor:
        return -0.5 * (target - self.output).square().sum()

    def draw(self, generator: np.random.Generator) -> Tensor:
        noise = torch.from_numpy(generator.standard_normal(self.output.shape)).to(self.output)
        return self.output.detach() + noise

    def rows(self) -> tuple[Tensor, Tensor]:
        return self.output, torch.ones_like(self.output)


def gradient(value: Tensor, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Returns the gradient of a value (0-d), a tensor for each weight; zero for one that has no part in it."""
    return list(torch.autograd.grad(value, list(weights.values()), materialize_grads=True))


def row_gradients(rows: Tensor, scales: Tensor, weights: Mapping[str, Tensor]) -> Iterator[list[Tensor]]:
    """Yields the gradients of scales x rows, both (R,): for each weight a tensor (r, ...) of the next r rows."""
    given = list(weights.values())
    size = max(1, AT_ONCE // sum(map(Tensor.numel, given)))
    for some in torch.split(torch.diag(scales), size):  # (r, R)
        found = torch.autograd.grad(rows, given, some, retain_graph=True, is_grads_batched=True, allow_unused=True)
        yield [weight.new_zeros(1, *weight.shape) if each is None else each for weight, each in zip(given, found)]


def mean(terms: Iterable[list[Tensor]], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the mean of lists of tensors, one tensor for each weight, by name.

    Raises:
        UserError: there is none.
    """
    total, count = [torch.zeros_like(weight, requires_grad=False) for weight in weights.values()], 0
    for term in terms:
        torch._foreach_add_(total, term)
        count += 1
    if not count:
        raise UserError(
            'importance of weights',
            expected='at least one sample',
            found='none',
            do='Anchor after some steps were learned.',
        )
    return {name: each / count for name, each in zip(weights, total)}
