"""Methods with a second network as the teacher: LwF and CLS-ER."""

import copy

import torch
from torch import nn, Tensor

from cls_learning.learners.optimisation import average_into

from ..digits import DigitStream, DigitTask
from ..network import Network
from ..rows import Values
from .contract import Method
from .memory import Samples
from .replay import Replay

_TEMPERATURE = 2.0


class Lwf(Method):
    """LwF (Li and Hoiem 2018): on new images, the answers of the network before the task are kept for its classes."""

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        self._teacher: nn.Module | None = None
        # Classes whose answers are kept: a list for each task where it is known, else one for all tasks.
        self._known: list[list[int]] = []

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self.network(x)
        loss = nn.functional.cross_entropy(logits + self.mask(self.task), y)
        if self._teacher is None:
            return loss
        with torch.no_grad():
            before = self._teacher(x)
        for classes in self._known:
            now, then = (each[:, classes] / _TEMPERATURE for each in (logits, before))
            kept = nn.functional.kl_div(now.log_softmax(1), then.softmax(1), reduction='batchmean')
            loss = loss + self.values['alpha'] * kept
        return loss

    def end_task(self, task: DigitTask) -> None:
        self._teacher = copy.deepcopy(self.network).requires_grad_(False)
        known = {each for classes in self._known for each in classes} | set(task.classes)
        self._known = [*self._known, list(task.classes)] if self.stream.is_told else [sorted(known)]

    def kept(self) -> list[Tensor]:
        return [] if self._teacher is None else list(self._teacher.parameters())


class ClsEr(Replay):
    """CLS-ER (Arani et al. 2022): two averages of the weights, one quick and one slow, teach on remembered images.

    Of the two, the one that gives the right class the higher probability is the teacher; the slow one answers.
    """

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        self._averages = [(copy.deepcopy(network).requires_grad_(False), values[name]) for name in ('quick', 'slow')]

    def loss_of(self, new: Tensor, y: Tensor, replayed: Tensor, old: Samples) -> Tensor:
        with torch.no_grad():
            answers = [self.logits(old.x, old.task, network) for network, _ in self._averages]
            right = torch.stack([each.softmax(1).gather(1, old.y[:, None]) for each in answers])
            teacher = torch.where(right[0] > right[1], answers[0], answers[1])
        distance = nn.functional.mse_loss(replayed, teacher)
        loss: Tensor = super().loss_of(new, y, replayed, old) + self.values['alpha'] * distance
        return loss

    def after_step(self) -> None:
        for network, (share, decay) in self._averages:
            averaged: list[Tensor] = list(network.parameters())
            if torch.rand((), generator=self.draws) < share:
                decay = min(1.0 - 1.0 / (self.steps + 1), decay)
                average_into(averaged, self.weights, decay)

    def acting(self) -> nn.Module:
        return self._averages[1][0]

    def kept(self) -> list[Tensor]:
        return super().kept() + [each for network, _ in self._averages for each in network.parameters()]
