"""Memory of replay: images of earlier tasks, as many of each class of each task as of any other."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..digits import CLASSES, PIXELS


@dataclass(frozen=True)
class Samples:
    """Images x (N, 64), labels y (N,), numbers of their tasks (N,), and logits (N, 10) of when they were stored."""

    x: Tensor
    y: Tensor
    task: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def at(self, indices: Tensor) -> 'Samples':
        """Returns samples by index (B,)."""
        return Samples(**{each.name: getattr(self, each.name)[indices] for each in fields(self)})

    def tensors(self) -> list[Tensor]:
        """Returns all columns."""
        return [getattr(self, each.name) for each in fields(self)]


class Memory:
    """A sample of fixed size of all tasks; within each class of a task every image is as likely to be in it.

    Args:
        capacity: number of images.
    """

    def __init__(self, capacity: int, draws: torch.Generator) -> None:
        self._capacity, self._draws = capacity, draws
        no = torch.zeros(0, dtype=torch.int64)
        self.samples = Samples(torch.zeros(0, PIXELS), no, no, torch.zeros(0, CLASSES))

    def __len__(self) -> int:
        return len(self.samples)

    def add(self, new: Samples) -> None:
        """Adds a whole task, and drops what is too much, of the largest classes first."""
        pairs = zip(self.samples.tensors(), new.tensors())
        every = Samples(*(torch.cat([old, added]) for old, added in pairs))
        order = torch.randperm(len(every), generator=self._draws)
        groups = (every.task * CLASSES + every.y)[order]
        places = torch.zeros_like(groups)
        for group in set(groups.tolist()):
            is_in = groups == group
            places[is_in] = torch.arange(int(is_in.sum()))
        self.samples = every.at(order[places.argsort(stable=True)[: self._capacity]])

    def draw(self, count: int) -> Samples:
        """Draws samples, all different where there are as many."""
        repeated = [torch.randperm(len(self), generator=self._draws) for _ in range(-(-count // len(self)))]
        return self.samples.at(torch.cat(repeated)[:count])
