"""A world model on an event-based GRU (EGRU, Subramoney et al. 2023): most of its units are silent in most steps."""

import itertools

import torch
from torch import nn, Tensor

from ..randomness import derive
from ..rtrl.cell import RecurrentCell
from ..rtrl.event_gru import EventGruCell
from ..rtrl.learner import LEVELS, RtrlLearner
from .contract import ModelState, WorldModel
from .mlp import initialise

RTRL_LEVELS = tuple(level for level in LEVELS if level != 'diagonal')
# Low, so that an untrained cell has events from which to learn.
_THRESHOLD = 0.02


class CellWorldModel(WorldModel):
    """A recurrent cell over embedding and action, and ReLU layers over its output and both: z_next = z + f(h, z, a).

    The state is that of the cell. With events it gives `spike_rate` (B,), the share of units that have one.

    Args:
        cell: with z_size + action_size inputs. hidden: of the layers after it.
        residual: the output is added to z, and its layer starts at zero: untrained it predicts no change.
    """

    context = 8

    def __init__(
        self, cell: RecurrentCell, z_size: int, hidden: tuple[int, ...], residual: bool, seed: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.cell, self.residual = cell, residual
        sizes = (cell.output_size + cell.inputs, *hidden)
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes))
        self.output = nn.Linear(sizes[-1], z_size)
        initialise(self, seed)
        if residual:
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)
        self._rtrl: RtrlLearner | None = None

    def carry_influence(self, level: str, seed: int) -> None:
        self._rtrl = RtrlLearner(self.cell, level, seed=seed)

    def initial(self, batch: int) -> ModelState:
        return (self._rtrl or self.cell).initial(batch)

    def remember(self, state: ModelState, z: Tensor, action: Tensor) -> ModelState:
        return self._step(state, torch.cat([z, action], dim=-1))[0]

    def _step(self, state: ModelState, x: Tensor, elapsed: Tensor | None = None) -> tuple[ModelState, Tensor]:
        # Influence is that of nominal steps.
        after, signal = self._rtrl.step(state, x) if self._rtrl else self.cell(state, x, elapsed)
        return dict(after), signal

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        x = torch.cat([z, action], dim=-1)
        after, signal = self._step(state, x, elapsed)
        events = self.cell.events(after)
        info = {} if events is None else {'spike_rate': events.mean(-1)}
        signal = torch.cat([signal, x], dim=-1)  # (B, O + D + A)
        for layer in self.layers:
            signal = torch.relu(layer(signal))
        out = self.output(signal)
        return after, z + out if self.residual else out, info


def make(*, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> CellWorldModel:
    """Makes an untrained network: the first of `hidden` are the units of the cell."""
    units, *layers = hidden
    cell = EventGruCell(z_size + action_size, units, seed=derive(seed, 'cell'), threshold=_THRESHOLD)
    return CellWorldModel(cell, z_size, tuple(layers), residual, seed)
