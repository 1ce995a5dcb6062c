"""DER++ (Buzzega et al. 2020): replay that also keeps what the network said when it saw a step."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..network import Network
from ..predictor import predict
from ..sequential import Living, real, recent, SequentialRow
from .contract import Row, Values


@dataclass(frozen=True)
class DerRow(SequentialRow):
    """Batches as replay's; half of the memory's samples towards the truth, half towards what was said then."""

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': rate, 'alpha': alpha} for rate in (3e-4, 1e-3) for alpha in (0.2, 0.5))

    def begin(self, network: Network) -> dict[int, Tensor]:
        return {}

    def remember(self, living: Living, index: int) -> None:
        steps = living.steps
        living.own[index] = predict(living.network, steps.z[index : index + 1], steps.action[index : index + 1])[0]

    def learn(self, living: Living, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        older, network, steps = living.kept.older, living.network, living.steps
        if not len(older):
            chosen = recent(living, batch, draws)
            return network.loss(*real(steps, chosen)).mean(), batch
        new = max(batch // 4, 1)
        told = (batch - new) // 2
        chosen = np.concatenate([recent(living, new, draws), draws.choice(older, batch - new - told)])
        again = draws.choice(older, told)
        z, action, _ = real(steps, again)
        said = torch.stack([living.own[int(index)] for index in again])
        loss = network.loss(*real(steps, chosen)).mean() + values['alpha'] * network.loss(z, action, said).mean()
        return loss, batch


def rows() -> list[Row]:
    """Returns the row."""
    return [DerRow('der')]
