"""How the influence M = dc/dtheta is stored and carried to the next step, level by level.

M[i, o, k] is the derivative of the state of unit i by parameter k of unit o. Pruned parameters have no column.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from .cell import Linearisation, RecurrentCell

# Share of active units below which their rows are gathered; above it the copy takes longer than it saves.
_GATHERED = 0.75


class Operations(NamedTuple):
    """Multiply-adds of one step, one stream.

    Attributes:
        dense: of exact dense RTRL of the same cell without pruning.
        executed: of the matrix products that ran here.
        effective: with both factors different from 0, which a machine for sparse data would run.
    """

    dense: int
    executed: int
    effective: int


class Influence(ABC):
    """Base of all levels. `k` is the number of kept parameters of a unit, equal for all units.

    Args:
        kept: bool (H, K).
    """

    def __init__(self, cell: RecurrentCell, kept: Tensor) -> None:
        self.cell, self.units, self.width = cell, cell.units, int(kept[0].sum())
        self.columns = kept.nonzero()[:, 1].view(self.units, self.width)
        self._coefficient, self._source = cell.column_coefficient[self.columns], cell.column_source[self.columns]

    @abstractmethod
    def initial(self, batch: int) -> Tensor:
        """Returns the influence before the first step, zeros."""

    @abstractmethod
    def update(self, influence: Tensor, step: Linearisation) -> Tensor:
        """Returns J M + Mbar."""

    @abstractmethod
    def gradient(self, influence: Tensor, to_state: Tensor) -> Tensor:
        """Returns the gradient by all kept parameters, summed over the batch, (H, k); to_state: dL/dc (B, H)."""

    @abstractmethod
    def expand(self, influence: Tensor) -> Tensor:
        """Returns M as (B, H, H, K), zeros where it is not stored. As large as the influence of level `dense`."""

    @abstractmethod
    def compress(self, expanded: Tensor) -> Tensor:
        """Returns what this level stores of `expand`."""

    @abstractmethod
    def products(self, influence: Tensor, step: Linearisation) -> tuple[int, int]:
        """Returns multiply-adds of J M, executed and effective, over the batch."""

    def immediate(self, step: Linearisation) -> Tensor:
        """Returns Mbar, which has entries in each unit's own parameters only, (B, H, k)."""
        coefficients = step.coefficients.gather(2, self._coefficient.expand(len(step.own), -1, -1))
        return coefficients * step.sources[:, self._source]

    def operations(self, influence: Tensor, step: Linearisation) -> Operations:
        """Counts one step and its gradient; a complex multiply-add counts as one.

        Args:
            influence: before the step.
        """
        batch, units, every = len(step.own), self.units, self.cell.parameters_per_unit
        executed, effective = self.products(influence, step)
        stored, kept = influence[0].numel(), units * self.width
        gates = 0 if step.coupling is None else step.coupling.weight.numel()
        present = 0 if step.coupling is None else int(step.coupling.weight.count_nonzero())
        return Operations(
            dense=units**3 * every + gates + units * every + units**2 * every,
            executed=executed // batch + gates + kept + stored,
            effective=(effective + int(self.immediate(step).count_nonzero()) + int(influence.count_nonzero())) // batch
            + present,
        )

    def _zeros(self, *shape: int) -> Tensor:
        weight = next(self.cell.parameters())
        return weight.new_zeros(shape, dtype=weight.dtype.to_complex() if self.cell.is_diagonal else weight.dtype)


class FullInfluence(Influence):
    """All of M, (B, H, H k). Levels `dense`, `sparse` and `paths`.

    Args:
        skip_silent: multiply only by rows of M of units whose output has a derivative other than 0, where these are
            few: the result is the same. Else all of J M is one dense product.
        paths: indices of the units through whose output influence passes; None: all.
    """

    def __init__(self, cell: RecurrentCell, kept: Tensor, *, skip_silent: bool, paths: Tensor | None = None) -> None:
        super().__init__(cell, kept)
        self._skip_silent, self._is_path = skip_silent, None
        if paths is not None:
            self._is_path = torch.zeros(self.units, dtype=torch.bool)
            self._is_path[paths] = True

    def initial(self, batch: int) -> Tensor:
        return self._zeros(batch, self.units, self.units * self.width)

    def update(self, influence: Tensor, step: Linearisation) -> Tensor:
        coupling, slope, direct = self._coupling(step)
        if self._is_gathered(slope):
            after = step.own[..., None] * influence
            for row, (jacobian, before, is_active) in enumerate(zip(coupling * slope[:, None], influence, slope != 0)):
                active = is_active.nonzero()[:, 0]
                after[row].addmm_(jacobian[:, active], before[active])
        else:
            after = torch.bmm(self._jacobian(coupling, slope, step), influence)
        blocks = after.view(len(after), self.units, self.units, self.width)
        blocks[..., -1] += coupling * direct[:, None]
        blocks.diagonal(dim1=1, dim2=2).add_(self.immediate(step).transpose(1, 2))
        return after

    def gradient(self, influence: Tensor, to_state: Tensor) -> Tensor:
        return torch.einsum('bh,bhp->p', to_state, influence).view(self.units, self.width)

    def expand(self, influence: Tensor) -> Tensor:
        blocks = influence.view(len(influence), self.units, self.units, self.width)
        wide = self._zeros(len(influence), self.units, self.units, self.cell.parameters_per_unit)
        return wide.scatter_(3, self.columns.expand_as(blocks), blocks)

    def compress(self, expanded: Tensor) -> Tensor:
        index = self.columns.expand(*expanded.shape[:3], self.width)
        return expanded.gather(3, index).flatten(2)

    def products(self, influence: Tensor, step: Linearisation) -> tuple[int, int]:
        coupling, slope, _ = self._coupling(step)
        jacobian = self._jacobian(coupling, slope, step)
        effective = int(((jacobian != 0).sum(1) * (influence != 0).sum(2)).sum())
        rows = int((slope != 0).sum()) + len(slope) if self._is_gathered(slope) else self.units * len(slope)
        return rows * influence[0].numel(), effective

    def _is_gathered(self, slope: Tensor) -> bool:
        return self._skip_silent and bool((slope != 0).float().mean() < _GATHERED)

    def _coupling(self, step: Linearisation) -> tuple[Tensor, Tensor, Tensor]:
        assert step.coupling is not None
        slope, direct = step.coupling.slope, step.coupling.direct
        if self._is_path is not None:
            slope, direct = slope * self._is_path, direct * self._is_path
        return step.coupling.matrix(), slope, direct

    @staticmethod
    def _jacobian(coupling: Tensor, slope: Tensor, step: Linearisation) -> Tensor:
        return coupling * slope[:, None] + torch.diag_embed(step.own)


class DiagonalInfluence(Influence):
    """M of each unit by its own parameters, (B, H, k): exact in a diagonal cell, SnAp-1 in others."""

    def initial(self, batch: int) -> Tensor:
        return self._zeros(batch, self.units, self.width)

    def update(self, influence: Tensor, step: Linearisation) -> Tensor:
        own, direct = self._factors(step)
        after = torch.addcmul(self.immediate(step), own[..., None], influence)
        if direct is not None:
            after[..., -1] += direct
        return after

    def gradient(self, influence: Tensor, to_state: Tensor) -> Tensor:
        # For complex states dL/dc is dL/dRe c + i dL/dIm c.
        product = (to_state.conj()[..., None] * influence).sum(0)
        return product.real if product.is_complex() else product

    def expand(self, influence: Tensor) -> Tensor:
        wide = self._zeros(len(influence), self.units, self.cell.parameters_per_unit)
        wide.scatter_(2, self.columns.expand_as(influence), influence)
        return torch.diag_embed(wide.transpose(1, 2)).permute(0, 2, 3, 1).contiguous()

    def compress(self, expanded: Tensor) -> Tensor:
        own = expanded.diagonal(dim1=1, dim2=2).transpose(1, 2)
        return own.gather(2, self.columns.expand(len(own), -1, -1))

    def products(self, influence: Tensor, step: Linearisation) -> tuple[int, int]:
        own, _ = self._factors(step)
        return influence.numel(), int(((own != 0)[..., None] & (influence != 0)).sum())

    def _factors(self, step: Linearisation) -> tuple[Tensor, Tensor | None]:
        if step.coupling is None:
            return step.own, None
        itself = step.coupling.diagonal()
        return step.own + itself * step.coupling.slope, itself * step.coupling.direct


class ReachInfluence(Influence):
    """M by the parameters of each unit o of the m units that they reach within n steps, (B, H, m, k): SnAp-n.

    Units that reach fewer than m have rows of zeros.

    Args:
        reach: steps, n >= 1.
    """

    def __init__(self, cell: RecurrentCell, kept: Tensor, reach: int) -> None:
        super().__init__(cell, kept)
        acts_on = (cell.connections() | torch.eye(self.units, dtype=torch.bool)).to(torch.float32)
        reached = torch.eye(self.units)
        for _ in range(min(reach, self.units) - 1):
            reached = ((acts_on @ reached) > 0).to(torch.float32)
        # Each unit itself comes first.
        order = (reached + torch.eye(self.units)).T.sort(descending=True, stable=True)
        most = int((order.values > 0).sum(1).max())
        self._units, self._is_reached = order.indices[:, :most], order.values[:, :most] > 0  # (O, m)

    def initial(self, batch: int) -> Tensor:
        return self._zeros(batch, *self._units.shape, self.width)

    def update(self, influence: Tensor, step: Linearisation) -> Tensor:
        assert step.coupling is not None
        coupling = self._block(step.coupling.matrix())
        outputs = step.coupling.slope[:, self._units, None] * influence
        outputs[:, :, 0, -1] += step.coupling.direct
        after = step.own[:, self._units, None] * influence + coupling @ outputs
        after[:, :, 0] += self.immediate(step)
        return after

    def gradient(self, influence: Tensor, to_state: Tensor) -> Tensor:
        return torch.einsum('bom,bomk->ok', to_state[:, self._units], influence)

    def expand(self, influence: Tensor) -> Tensor:
        batch, every = len(influence), self.cell.parameters_per_unit
        wide = self._zeros(*influence.shape[:3], every)
        wide.scatter_(3, self.columns[:, None].expand_as(influence), influence)
        # Rows of zeros name units beyond the reach, each of them once.
        full = self._zeros(batch, self.units, self.units, every)
        full.scatter_(2, self._units[..., None].expand_as(wide), wide)
        return full.transpose(1, 2)

    def compress(self, expanded: Tensor) -> Tensor:
        full = expanded.transpose(1, 2)
        rows = full.gather(2, self._units[..., None].expand(len(full), -1, -1, full.shape[3]))
        kept = rows.gather(3, self.columns[:, None].expand(*rows.shape[:3], self.width))
        return kept * self._is_reached[..., None]

    def products(self, influence: Tensor, step: Linearisation) -> tuple[int, int]:
        assert step.coupling is not None
        jacobian = self._block(step.coupling.matrix() * step.coupling.slope[:, None] + torch.diag_embed(step.own))
        effective = int(((jacobian != 0).sum(2) * (influence != 0).sum(3)).sum())
        return (self._units.shape[1] + 1) * influence.numel(), effective

    def _block(self, matrix: Tensor) -> Tensor:
        """Returns the rows and columns of (B, H, H) that belong to each unit's reach, (B, H, m, m)."""
        return matrix[:, self._units[:, :, None], self._units[:, None]] * self._is_reached[..., None]
