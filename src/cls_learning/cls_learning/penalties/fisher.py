"""The diagonal of the Fisher information, in four forms, and the penalty that is made of it.

Forms differ in cost and size, and a lambda of raw importance has a meaning only for one of them (van de Ven 2025):

    exact       expectation over targets under the model's own distribution: one gradient for each output
    sampled     one target drawn for each sample: unbiased, one gradient
    empirical   the target that happened in place of a drawn one: small where the network predicts well
    batched     square of the mean gradient of a batch, for comparison: it is not the Fisher information, since
                gradients of samples cancel before they are squared
"""

from collections.abc import Callable, Iterable, Iterator
import itertools

import numpy as np
import torch
from torch import Tensor

from .contract import Named, Penalty
from .ewc import EwcSettings
from .samples import gradient, mean, row_gradients, Sample

Terms = Iterator[list[Tensor]]


class Ewc(Penalty):
    """Elastic weight consolidation: importance is the diagonal of the Fisher information."""

    settings: EwcSettings

    def importance(self, samples: Iterable[Sample], generator: np.random.Generator) -> Named:
        """See Penalty."""
        forms: dict[str, Callable[[], Terms]] = {
            'exact': lambda: _exact(samples, self.weights),
            'sampled': lambda: _squares((s.log_likelihood(s.draw(generator)) for s in samples), self.weights),
            'empirical': lambda: _squares((s.log_likelihood(s.target) for s in samples), self.weights),
            'batched': lambda: _squares(_batch_means(samples, self.settings.batch), self.weights),
        }
        return mean(forms[self.settings.fisher](), self.weights)


def _exact(samples: Iterable[Sample], weights: Named) -> Terms:
    for sample in samples:
        rows, shares = sample.rows()
        total = [torch.zeros_like(weight, requires_grad=False) for weight in weights.values()]
        for gradients in row_gradients(rows, shares.sqrt(), weights):
            torch._foreach_add_(total, [each.square().sum(dim=0) for each in gradients])
        yield total


def _squares(values: Iterable[Tensor], weights: Named) -> Terms:
    for value in values:
        yield [each.square() for each in gradient(value, weights)]


def _batch_means(samples: Iterable[Sample], size: int) -> Iterator[Tensor]:
    left = iter(samples)
    while batch := list(itertools.islice(left, size)):
        yield torch.stack([sample.log_likelihood(sample.target) for sample in batch]).mean()
