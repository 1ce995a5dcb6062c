"""Early stopping: ends training when the loss of an epoch no longer falls."""

from dataclasses import dataclass
import math


@dataclass
class EarlyStopping:
    """Tells when the loss has stopped falling. Nothing is judged before `min_epochs` values, nor sets the best.

    Attributes:
        patience: epochs without improvement after which it is over.
        min_delta: what counts as an improvement, in the loss's units.
        min_epochs: values before the first one that is judged.
        best: lowest judged loss, infinite before there is one.
        waited: epochs since the last improvement.
    """

    patience: int = 5
    min_delta: float = 0.001
    min_epochs: int = 3
    best: float = math.inf
    waited: int = 0
    epochs: int = 0

    def add(self, loss: float) -> bool:
        """Takes the loss of an epoch, in order; returns whether the plateau is reached. NaN is no improvement."""
        self.epochs += 1
        if self.epochs < self.min_epochs:
            return False
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
