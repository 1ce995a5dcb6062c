"""Joint training, which no continual learner can do: the images of all tasks from the first step on."""

import torch
from torch import nn, Tensor

from ..digits import DigitStream
from ..network import BATCH, Network
from ..rows import Values
from .contract import Method


class Joint(Method):
    """Draws each batch from all tasks; as many steps and gradients as replay."""

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        tasks = stream.tasks
        self._x = torch.cat([torch.from_numpy(task.train_x) for task in tasks])
        self._y = torch.cat([torch.from_numpy(task.train_y) for task in tasks])
        self._task = torch.cat([torch.full((len(task.train_y),), i) for i, task in enumerate(tasks)])

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        count = 2 * BATCH if self.task else len(y)
        drawn = torch.randint(len(self._y), (count,), generator=self.draws)
        return nn.functional.cross_entropy(self.logits(self._x[drawn], self._task[drawn]), self._y[drawn])

    def kept(self) -> list[Tensor]:
        return [self._x, self._y, self._task]
