"""Early stopping: ends training when the loss of an epoch no longer falls."""

from dataclasses import dataclass
import math


@dataclass
class EarlyStopping:
    """Decides when the loss has stopped falling. The first `min_epochs` - 1 values are ignored.

    Attributes:
        patience: epochs without improvement after which training ends.
        min_delta: smallest improvement that counts, in the loss's units.
        min_epochs: number of the first epoch that counts.
        best: lowest loss that counted, infinite before the first.
        waited: epochs since the last improvement.
        epochs: values so far.
    """

    patience: int = 5
    min_delta: float = 0.001
    min_epochs: int = 3
    best: float = math.inf
    waited: int = 0
    epochs: int = 0

    def add(self, loss: float) -> bool:
        """Adds the loss of the next epoch; returns whether training should end. NaN is no improvement."""
        self.epochs += 1
        if self.epochs < self.min_epochs:
            return False
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
