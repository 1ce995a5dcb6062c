"""The contract of recurrent cells whose influence can be followed forward in time.

Each of H units has one state variable, real or complex, and K parameters of its own. Units act on each other through
their outputs only, by recurrent weights:

    dc_t/dc_{t-1} = diag(own) + G diag(slope),  G[i, j] = sum over gates g of gates[g, i] weight_hh[g, i, j]

where `slope` is dh_{t-1}/dc_{t-1}. In a diagonal cell there is no G.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import nn, Tensor

# Tensors by name, the batch first.
CellState = dict[str, Tensor]


class Coupling(NamedTuple):
    """How units act on each other in one step, through their outputs.

    Attributes:
        gates: derivatives of a unit's state by what each gate receives of other units, (B, G, H).
        weight: between units, (G, H, H), pruned ones 0.
        slope: of the output before by the state before, (B, H).
        direct: of the output before by the last parameter of each unit, (B, H).
    """

    gates: Tensor
    weight: Tensor
    slope: Tensor
    direct: Tensor

    def matrix(self) -> Tensor:
        """Returns G, (B, H, H)."""
        return torch.einsum('bgi,gij->bij', self.gates, self.weight)

    def diagonal(self) -> Tensor:
        """Returns the diagonal of G, (B, H)."""
        return torch.einsum('bgi,gii->bi', self.gates, self.weight)


class Linearisation(NamedTuple):
    """Derivatives of one step; complex in a cell with complex state, real else.

    Attributes:
        own: of each unit's state by its own state before, other than through its output, (B, H).
        coefficients: (B, H, C), and sources: (B, S). The derivative of a unit's state by its parameter k is
            coefficients[:, :, cell.column_coefficient[k]] * sources[:, cell.column_source[k]].
        coupling: None in a diagonal cell.
    """

    own: Tensor
    coefficients: Tensor
    sources: Tensor
    coupling: Coupling | None = None


class RecurrentCell(nn.Module):
    """One recurrent layer of `units` units over `inputs` inputs.

    Every parameter has units in its first dimension, gate after gate as in `torch.nn.GRUCell`: (gates x H, ...).

    Attributes:
        inputs, units: I and H. output_size: O.
        is_diagonal: whether no unit acts on another.
        column_coefficient, column_source: see Linearisation, int64 (K,), in the order of `flatten`.
    """

    is_diagonal: ClassVar[bool] = False
    column_coefficient: Tensor
    column_source: Tensor

    def __init__(self, inputs: int, units: int, output_size: int) -> None:
        super().__init__()
        self.inputs, self.units, self.output_size = inputs, units, output_size

    @abstractmethod
    def initial(self, batch: int) -> CellState:
        """Returns the state before the first step, zeros, for B = `batch` streams."""

    @abstractmethod
    def forward(self, state: CellState, x: Tensor, elapsed: Tensor | None = None) -> tuple[CellState, Tensor]:
        """Takes one step, differentiable by autograd.

        Args:
            state: of `initial` or of the step before. x: float (B, I).
            elapsed: duration of the step in nominal steps, (B,); None: 1.

        Returns:
            the next state, and the output (B, O).
        """

    @abstractmethod
    def linearise(self, state: CellState, x: Tensor) -> tuple[CellState, Tensor, Linearisation]:
        """Takes a nominal step without autograd; returns the next state, the output and the derivatives."""

    @abstractmethod
    def pull_back(self, state: CellState, output_gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns dL/dc (B, H), and dL by the direct effect of each unit's last parameter (B, H) or None.

        Args:
            state: after the step. output_gradient: dL/dh (B, O) of that step's output.
        """

    def events(self, state: CellState) -> Tensor | None:
        """Returns which units gave an output in the step that led to this state, 0 or 1 (B, H); None without events."""
        return None

    def masks(self) -> dict[str, Tensor]:
        """Returns which weights exist, bool, by the name of their parameter, where some may be pruned."""
        return {}

    def connections(self) -> Tensor:
        """Returns which units act on which, bool (H, H), [i, j] of j on i; none in a diagonal cell."""
        return torch.zeros(self.units, self.units, dtype=torch.bool)

    @property
    def parameters_per_unit(self) -> int:
        """K."""
        return sum(parameter.numel() for parameter in self.parameters()) // self.units

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Returns tensors shaped as the parameters, by their names, as (H, K): a row of each unit."""
        return torch.cat([_by_unit(tensors[name], self.units) for name, _ in self.named_parameters()], 1)

    def unflatten(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the inverse of `flatten`."""
        found, at = {}, 0
        for name, parameter in self.named_parameters():
            width = parameter.numel() // self.units
            part = rows[:, at : at + width].reshape(self.units, parameter.shape[0] // self.units, -1)
            found[name] = part.transpose(0, 1).reshape(parameter.shape)
            at += width
        return found

    def kept(self) -> Tensor:
        """Returns bool (H, K): the parameters that exist."""
        masks = self.masks()
        present = {n: masks.get(n, torch.ones_like(p, dtype=torch.bool)) for n, p in self.named_parameters()}
        return self.flatten(present)


def _by_unit(tensor: Tensor, units: int) -> Tensor:
    return tensor.reshape(tensor.shape[0] // units, units, -1).transpose(0, 1).reshape(units, -1)
