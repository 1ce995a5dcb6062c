"""Penalties of `cls_learning.penalties`: EWC by the form of its Fisher information, SI and MAS."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from cls_learning.penalties.contract import Penalty
from cls_learning.penalties.samples import Categorical
from cls_learning.randomness import stream
from cls_learning.registries import PENALTIES

from ..digits import CLASSES, DigitStream, DigitTask
from ..network import Network
from ..rows import Values
from .contract import Method

# Images of a task by which the importance of weights is measured.
SAMPLES = 200


class Penalised(Method):
    """Pays for changes of weights that earlier tasks need; remembers no image.

    Values:
        weight: lambda, of an importance that is divided by its mean.
    """

    penalty: ClassVar[str] = 'ewc'
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, network: Network, stream: DigitStream, values: Values, seed: int) -> None:
        super().__init__(network, stream, values, seed)
        kind = PENALTIES.find(self.penalty)
        settings = kind.SETTINGS(weight=values['weight'], **self.settings)
        self._penalty: Penalty = kind.make(dict(network.named_parameters()), settings)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return super().loss(x, y) + self._penalty.loss()

    def after_step(self) -> None:
        self._penalty.after_step()

    def end_task(self, task: DigitTask) -> None:
        draws = stream(self.seed, 'continual.anchor', self.task)
        chosen = draws.permutation(len(task.train_y))[:SAMPLES]
        x, y = torch.from_numpy(task.train_x[chosen]), torch.from_numpy(task.train_y[chosen])
        self._penalty.anchor((Categorical(self.logits(one[None])[0], label) for one, label in zip(x, y)), draws)

    def kept(self) -> list[Tensor]:
        return list(self._penalty.state().values())


class EwcExact(Penalised):
    """EWC with the exact diagonal of the Fisher information (Kirkpatrick et al. 2017)."""

    settings: ClassVar[dict[str, Any]] = {'fisher': 'exact'}

    def end_task(self, task: DigitTask) -> None:
        super().end_task(task)
        # One gradient for each class; one of them was counted.
        self.network.gradients += (CLASSES - 1) * min(SAMPLES, len(task.train_y))


class EwcSampled(Penalised):
    """EWC with labels drawn from the network's own answers."""

    settings: ClassVar[dict[str, Any]] = {'fisher': 'sampled'}


class EwcEmpirical(Penalised):
    """EWC with the labels of the images."""

    settings: ClassVar[dict[str, Any]] = {'fisher': 'empirical'}


class EwcBatched(Penalised):
    """EWC with squared mean gradients of batches, which is not the Fisher information; Avalanche has this form."""

    settings: ClassVar[dict[str, Any]] = {'fisher': 'batched'}


class Si(Penalised):
    """Synaptic intelligence (Zenke et al. 2017)."""

    penalty = 'si'


class Mas(Penalised):
    """Memory aware synapses (Aljundi et al. 2018)."""

    penalty = 'mas'
