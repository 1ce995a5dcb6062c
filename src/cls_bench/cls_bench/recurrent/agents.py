"""Cells and levels that are compared, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from cls_learning.randomness import derive
from cls_learning.rtrl import EventGruCell, prune, RtrlLearner, TraceUnitsCell
from cls_learning.rtrl.cell import RecurrentCell

from .memory_chain import INPUTS

# The event GRU learns nothing with fewer events: with a threshold of 0.3 and 80 % of weights pruned 98 % are silent.
_THRESHOLD: Final = 0.02
# Cues are single numbers; with PyTorch's range of weights they reach no threshold.
_INPUT_GAIN: Final = 4.0


@dataclass(frozen=True)
class Agent:
    """A cell with a level of RTRL.

    Attributes:
        cell: event_gru or trace_units. level, reach, paths: of RtrlLearner.
        pruning: static or set, of the event GRU.
    """

    cell: str
    level: str
    reach: int = 1
    paths: int = 4
    pruning: str = 'static'

    def learner(self, cell: RecurrentCell, seed: int) -> RtrlLearner:
        """Makes the learner of a cell."""
        return RtrlLearner(cell, self.level, reach=self.reach, paths=self.paths, seed=seed)


AGENTS: Final[Mapping[str, Agent]] = {
    'dense': Agent('event_gru', 'dense'),
    'sparse': Agent('event_gru', 'sparse'),
    'sparse, SET': Agent('event_gru', 'sparse', pruning='set'),
    'SnAp-1': Agent('event_gru', 'snap', reach=1),
    'SnAp-2': Agent('event_gru', 'snap', reach=2),
    '4 paths': Agent('event_gru', 'paths', paths=4),
    'trace units': Agent('trace_units', 'diagonal'),
}


def make_cell(
    agent: Agent, units: int, seed: int, *, sparsity: float, width: float = 1.0, span: int = 0
) -> RecurrentCell:
    """Makes an untrained cell for the memory chain.

    Args:
        sparsity: share of pruned weights. width: of the surrogate; both of the event GRU.
        span: longest memory in steps, by which the update gates begin (Tallec and Ollivier 2018); 0: as drawn.
    """
    if agent.cell == 'trace_units':
        return TraceUnitsCell(INPUTS, units, seed=seed)
    cell = EventGruCell(INPUTS, units, seed=seed, threshold=_THRESHOLD, width=width)
    generator = np.random.default_rng(derive(seed, 'bench.recurrent'))
    with torch.no_grad():
        cell.weight_ih.mul_(_INPUT_GAIN)
        if span > 2:
            spans = torch.from_numpy(generator.uniform(1.0, span - 1.0, units))
            cell.bias_ih[units : 2 * units] = spans.log().float()
    prune(cell, sparsity, generator)
    return cell


@torch.no_grad()
def silence(cell: RecurrentCell, xs: Tensor, share: float) -> None:
    """Sets the threshold of an event GRU such that a share of outputs of xs (L, 1, I) is 0, by bisection."""
    assert isinstance(cell, EventGruCell)
    low, high = 1e-4, 1.0 - 1e-4
    for _ in range(12):
        middle = (low + high) / 2
        cell.threshold_logit.fill_(float(np.log(middle / (1.0 - middle))))
        state, silent = cell.initial(1), 0.0
        for x in xs:
            state, output = cell(state, x)
            silent += float((output == 0).float().mean()) / len(xs)
        low, high = (middle, high) if silent < share else (low, middle)
