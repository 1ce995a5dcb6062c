"""What a method is: one network that learns the tasks of a stream, one optimiser step at a time."""

from collections.abc import Callable
import math

import numpy as np
import torch
from torch import nn, Tensor

from cls_learning.learners.adam import Adam
from cls_learning.randomness import derive, stream

from ..digits import CLASSES, DigitStream, DigitTask
from ..network import BATCH, EPOCHS, Network, only
from ..rows import Values


class Method:
    """Learns each task from its own images, and does nothing against forgetting: the base of the other methods.

    The state of Adam (Kingma and Ba 2015) is kept from task to task; stochastic gradient descent has none.

    Args:
        values: optimizer ('adam' or 'sgd', without momentum), rate of learning, and what the method needs.

    Attributes:
        step_done: called after each optimiser step.
        task: number of the task that is learned. steps: optimiser steps so far.
        scale: factor of the rate of learning.
    """

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        self.network, self.stream, self.values, self.seed = network, stream, values, seed
        self.weights: list[Tensor] = list(network.parameters())
        self.step_done: Callable[[], None] = lambda: None
        self.task = 0
        self.steps = 0
        self.scale = 1.0
        self.draws = torch.Generator().manual_seed(derive(seed, 'continual.draws'))
        self._adam = Adam(self.weights, values['rate']) if values['optimizer'] == 'adam' else None
        # By task, of what is no answer where the task is known: added to logits.
        everything = tuple(range(CLASSES))
        zeros = torch.zeros(CLASSES)
        self._masks = torch.stack(
            [only(zeros, task.classes if stream.is_told else everything) for task in stream.tasks]
        )

    def learn_task(self, task: DigitTask) -> None:
        """Learns one task."""
        for x, y in batches(task, self.seed, self.task):
            self.learn(x, y)
        self.end_task(task)
        self.task += 1

    def learn(self, x: Tensor, y: Tensor) -> None:
        """Takes one optimiser step on images (B, 64) and labels (B,) of the task."""
        self.update(self.loss(x, y))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns the loss (0-d)."""
        return nn.functional.cross_entropy(self.logits(x), y)

    def end_task(self, task: DigitTask) -> None:
        """Called after the last step of a task."""

    def answer(self, x: Tensor, classes: tuple[int, ...]) -> Tensor:
        """Returns labels (B,) of images (B, 64) of a task with these classes."""
        logits = self.acting()(x)
        return (only(logits, classes) if self.stream.is_told else logits).argmax(1)

    def acting(self) -> nn.Module:
        """Returns the network that answers."""
        return self.network

    def kept(self) -> list[Tensor]:
        """Returns everything that is kept from task to task beside network and optimiser."""
        return []

    def mask(self, tasks: Tensor | int) -> Tensor:
        """Returns what is added to logits (B, 10) so that no class of another task is the answer, where it is known."""
        return self._masks[tasks]

    def logits(self, x: Tensor, tasks: Tensor | int | None = None, network: nn.Module | None = None) -> Tensor:
        """Returns logits (B, 10) in which other classes are ruled out, where the task is known.

        Args:
            tasks: number of the task of each image (B,), or of all; the present one by default.
        """
        at = self.task if tasks is None else tasks
        found: Tensor = (network or self.network)(x) + self.mask(at)
        return found

    def update(self, loss: Tensor) -> None:
        """Takes one optimiser step."""
        for weight in self.weights:
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        self.apply()

    def apply(self) -> None:
        """Changes the weights by their gradients."""
        rate = self.scale * self.values['rate']
        if self._adam is not None:
            self._adam.learning_rate = rate
            self._adam.step()
        else:
            with torch.no_grad():
                gradients = [weight.grad for weight in self.weights if weight.grad is not None]
                torch._foreach_add_(self.weights, gradients, alpha=-rate)
        self.after_step()
        self.steps += 1
        self.step_done()

    def after_step(self) -> None:
        """Called after each change of the weights; they still have the gradients of it."""

    def state_bytes(self) -> int:
        """Returns the size of what `kept` returns."""
        return sum(each.numel() * each.element_size() for each in self.kept())


def batches(task: DigitTask, seed: int, number: int) -> list[tuple[Tensor, Tensor]]:
    """Returns all batches of the epochs of a task, each epoch in another order."""
    x, y = torch.from_numpy(task.train_x), torch.from_numpy(task.train_y)
    count = math.ceil(len(x) / BATCH)
    found = []
    for epoch in range(EPOCHS):
        order = stream(seed, 'continual.order', number * EPOCHS + epoch).permutation(len(x))
        found += [(x[part], y[part]) for part in np.array_split(order, [BATCH * k for k in range(1, count)])]
    return found
