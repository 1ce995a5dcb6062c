"""Plain experience replay: the strongest simple opponent of sleep, each at its own best rate (learning probe, 11.1)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..sequential import Living, real, recent, SequentialRow
from ..stream import virtual_pairs
from .contract import Row, Values

_SLOW_RATES, _FAST_RATES = (3e-5, 1e-4, 3e-4, 1e-3), (3e-4, 1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class ReplayRow(SequentialRow):
    """A quarter of each batch from the window, the newest step among it, the rest from memory.

    Attributes:
        pairs: half of what comes from memory is virtual pairs of kept frames.
    """

    pairs: bool = False

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': rate} for rate in (_SLOW_RATES if self.slow_size else _FAST_RATES))

    def learn(self, living: Living, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        older = living.kept.older
        new = max(batch // 4, 1) if len(older) else batch
        chosen = recent(living, new, draws)
        virtual = (batch - new) // 2 if self.pairs else 0
        if len(older):
            chosen = np.concatenate([chosen, draws.choice(older, batch - new - virtual)])
        z, action, z_next = real(living.steps, chosen)
        if virtual:
            start, end = virtual_pairs(living.steps, living.kept.everything(), virtual, draws)
            more = living.steps.pair(start, end)
            z, action, z_next = (torch.cat(both) for both in zip((z, action, z_next), more))
        return living.network.loss(z, action, z_next).mean(), len(z)


def rows() -> list[Row]:
    """Returns both sizes, each way to spend, with and without virtual pairs."""
    return [
        ReplayRow('_'.join(['er', size, *([spends] if spends != 'steps' else []), *(['pairs'] if pairs else [])]),
                  slow_size=size == 'slow', spends=spends, pairs=pairs)
        for size in ('slow', 'fast') for pairs in (False, True) for spends in ('steps', 'samples', 'waking')
    ]  # fmt: skip
