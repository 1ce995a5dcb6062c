"""DER++ (Buzzega et al. 2020): replay with the network's own predictions, stored with each step, as targets."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..continual import ContinualBaseline, ContinualRun, recent, steps_at
from ..network import Network
from ..predictor import predict
from .contract import Baseline, Values


@dataclass(frozen=True)
class DerBaseline(ContinualBaseline):
    """Batches as in replay; half of the memory's samples have true targets, half the stored predictions."""

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': rate, 'alpha': alpha} for rate in (3e-4, 1e-3) for alpha in (0.2, 0.5))

    def begin(self, network: Network) -> dict[int, Tensor]:
        return {}

    def remember(self, state: ContinualRun, index: int) -> None:
        steps = state.steps
        state.extra[index] = predict(state.network, steps.z[index : index + 1], steps.action[index : index + 1])[0]

    def learn(self, state: ContinualRun, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        older, network, steps = state.memory.older, state.network, state.steps
        if not len(older):
            chosen = recent(state, batch, draws)
            return network.loss(*steps_at(steps, chosen)).mean(), batch
        new = max(batch // 4, 1)
        past = (batch - new) // 2
        chosen = np.concatenate([recent(state, new, draws), draws.choice(older, batch - new - past)])
        replayed = draws.choice(older, past)
        z, action, _ = steps_at(steps, replayed)
        stored = torch.stack([state.extra[int(index)] for index in replayed])
        loss = network.loss(*steps_at(steps, chosen)).mean() + values['alpha'] * network.loss(z, action, stored).mean()
        return loss, batch


def baselines() -> list[Baseline]:
    """Returns the baseline."""
    return [DerBaseline('der')]
