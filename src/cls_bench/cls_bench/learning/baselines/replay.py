"""Experience replay, the strongest simple alternative to sleep; each form is tuned to its own learning rate."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..continual import ContinualBaseline, ContinualRun, recent, steps_at
from ..stream_data import stitched_pairs
from .contract import Baseline, Values

_SLOW_RATES, _FAST_RATES = (3e-5, 1e-4, 3e-4, 1e-3), (3e-4, 1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class ReplayBaseline(ContinualBaseline):
    """A quarter of each batch from the window, the newest step among it, the rest from memory.

    Attributes:
        pairs: half of the samples from memory are stitched pairs of kept frames.
    """

    pairs: bool = False

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': rate} for rate in (_SLOW_RATES if self.slow_size else _FAST_RATES))

    def learn(self, state: ContinualRun, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        older = state.memory.older
        new = max(batch // 4, 1) if len(older) else batch
        chosen = recent(state, new, draws)
        stitched = (batch - new) // 2 if self.pairs else 0
        if len(older):
            chosen = np.concatenate([chosen, draws.choice(older, batch - new - stitched)])
        z, action, z_next = steps_at(state.steps, chosen)
        if stitched:
            start, end = stitched_pairs(state.steps, state.memory.everything(), stitched, draws)
            more = state.steps.pair(start, end)
            z, action, z_next = (torch.cat(both) for both in zip((z, action, z_next), more))
        return state.network.loss(z, action, z_next).mean(), len(z)


def baselines() -> list[Baseline]:
    """Returns both network sizes, each budget, with and without stitched pairs."""
    return [
        ReplayBaseline(
            '_'.join(['er', size, *([spends] if spends != 'steps' else []), *(['pairs'] if pairs else [])]),
            slow_size=size == 'slow',
            spends=spends,
            pairs=pairs,
        )
        for size in ('slow', 'fast')
        for pairs in (False, True)
        for spends in ('steps', 'samples', 'waking')
    ]
