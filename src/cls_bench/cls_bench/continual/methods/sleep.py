"""Replay with sleep: a quarter of the replay of DER++ is put off until a task is over, and averaged weights answer."""

import copy
import math

from torch import nn, Tensor

from cls_learning.learners.optimisation import average_into

from ..digits import DigitStream, DigitTask
from ..network import BATCH, Network
from ..rows import Values
from .contract import Method
from .replay import DerPlusPlus

# Remembered images of a batch awake, and asleep, where there are no new ones.
_AWAKE, _ASLEEP = 3 * BATCH // 4, 2 * BATCH


class Sleep(DerPlusPlus):
    """Learns awake from new images and fewer remembered ones, and asleep from the balanced memory alone.

    Sleep has the gradients that replay awake left out, at a rate that falls to 0. An average of the weights over the
    last steps answers, and gives the logits that are remembered.

    Values:
        average: share of the average that a step keeps.
    """

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        self._average = copy.deepcopy(network).requires_grad_(False)
        self._averaged: list[Tensor] = list(self._average.parameters())
        self._saved = 0  # gradients

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if not len(self.memory):
            return Method.loss(self, x, y)
        self._saved += BATCH - _AWAKE
        return Method.loss(self, x, y) + self._remembered(_AWAKE)

    def end_task(self, task: DigitTask) -> None:
        super().end_task(task)
        steps, self._saved = self._saved // _ASLEEP, self._saved % _ASLEEP
        for step in range(steps):
            self.scale = 0.5 + 0.5 * math.cos(math.pi * step / steps)
            self.update(self._remembered(_ASLEEP))
        self.scale = 1.0

    def _remembered(self, count: int) -> Tensor:
        """Returns the loss (0-d) of so many remembered images."""
        old, losses = self.memory.draw(count), nn.functional
        logits = self.logits(old.x, old.task)
        distance, error = losses.mse_loss(logits, old.logits), losses.cross_entropy(logits, old.y)
        loss: Tensor = self.values['alpha'] * distance + self.values['beta'] * error
        return loss

    def after_step(self) -> None:
        decay = min(1.0 - 1.0 / (self.steps + 1), self.values['average'])
        average_into(self._averaged, self.weights, decay)

    def acting(self) -> nn.Module:
        return self._average

    def kept(self) -> list[Tensor]:
        return super().kept() + self._averaged
