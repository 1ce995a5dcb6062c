"""Importance of weights by how much the outputs of a network depend on them."""

from collections.abc import Iterable

import numpy as np

from .contract import Named, Penalty
from .samples import gradient, mean, Sample


class MemoryAwareSynapses(Penalty):
    """Memory aware synapses: mean absolute gradient of the squared norm of the output; targets are not used."""

    def importance(self, samples: Iterable[Sample], generator: np.random.Generator) -> Named:
        """See Penalty."""
        sizes = (sample.output.square().sum() for sample in samples)
        return mean(([each.abs() for each in gradient(size, self.weights)] for size in sizes), self.weights)
