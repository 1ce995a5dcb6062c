"""Replay: a memory of 200 images, from which half of each batch comes."""

import torch
from torch import nn, Tensor

from ..digits import DigitStream, DigitTask
from ..network import BATCH, MEMORY, Network
from ..rows import Values
from .contract import Method
from .memory import Memory, Samples


class Replay(Method):
    """Learns from as many remembered images as new ones; the memory is filled after each task."""

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        self.memory = Memory(MEMORY, self.draws)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if not len(self.memory):
            return super().loss(x, y)
        old = self.memory.draw(BATCH)
        logits = self.logits(torch.cat([x, old.x]), torch.cat([torch.full_like(y, self.task), old.task]))
        return self.loss_of(logits[: len(y)], y, logits[len(y) :], old)

    def loss_of(self, new: Tensor, y: Tensor, replayed: Tensor, old: Samples) -> Tensor:
        """Returns the loss (0-d) from logits of new images with labels, and of remembered ones."""
        loss: Tensor = nn.functional.cross_entropy(torch.cat([new, replayed]), torch.cat([y, old.y]))
        return loss

    def end_task(self, task: DigitTask) -> None:
        x, y = torch.from_numpy(task.train_x), torch.from_numpy(task.train_y)
        with torch.no_grad():
            logits = self.logits(x, network=self.acting())
        self.memory.add(Samples(x, y, torch.full_like(y, self.task), logits))

    def kept(self) -> list[Tensor]:
        return [self.memory.samples.x, self.memory.samples.y, self.memory.samples.task]


class DerPlusPlus(Replay):
    """DER++ (Buzzega et al. 2020): remembered images have their labels and their logits of then as targets.

    As Avalanche does it, one batch serves for both, and logits are those of the end of the task.
    """

    def loss_of(self, new: Tensor, y: Tensor, replayed: Tensor, old: Samples) -> Tensor:
        losses = nn.functional
        distance, error = losses.mse_loss(replayed, old.logits), losses.cross_entropy(replayed, old.y)
        loss: Tensor = losses.cross_entropy(new, y) + self.values['alpha'] * distance + self.values['beta'] * error
        return loss

    def kept(self) -> list[Tensor]:
        return self.memory.samples.tensors()


class Agem(Replay):
    """A-GEM (Chaudhry et al. 2019): a gradient that would raise the loss of remembered images is projected."""

    def learn(self, x: Tensor, y: Tensor) -> None:
        if not len(self.memory):
            return super().learn(x, y)
        old = self.memory.draw(BATCH)
        reference = self._gradient(nn.functional.cross_entropy(self.logits(old.x, old.task), old.y))
        gradient = self._gradient(Method.loss(self, x, y))
        product = torch.dot(gradient, reference)
        if product < 0:
            gradient = gradient - product / reference.square().sum() * reference
        parts = torch.split(gradient, [weight.numel() for weight in self.weights])
        for weight, part in zip(self.weights, parts):
            weight.grad = part.view_as(weight)
        return self.apply()

    def _gradient(self, loss: Tensor) -> Tensor:
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, self.weights)])
