"""The learner: one cell, one level of influence, explicit state."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cls_common.errors import UserError

from ..randomness import stream
from .cell import CellState, RecurrentCell
from .influence import DiagonalInfluence, FullInfluence, Influence, Operations, ReachInfluence

LEVELS = {
    'dense': 'exact, by dense matrix products over all parameters, also pruned ones',
    'sparse': 'exact: silent units and pruned weights are skipped',
    'snap': 'SnAp-n (Menick et al. 2021): only what a parameter reaches within n steps',
    'paths': 'through the outputs of k random units only (Shalev-Merin 2026)',
    'diagonal': 'exact for a diagonal cell, at the cost of a step (Elelimy et al. 2024)',
}
INFLUENCE = 'influence'


class RtrlLearner:
    """Carries a cell's state and its influence, and gives gradients at every step.

    The state is a dict of tensors: those of the cell, and `influence`. None of them has an autograd graph, and their
    size depends on the batch and not on the number of steps. A boundary of a stream begins with `initial` again.

    Args:
        level: of LEVELS. `diagonal` is the level of diagonal cells, and the others are those of the rest.
        reach: n of `snap`. paths: k of `paths`. seed: by which those are drawn.

    Raises:
        UserError: an unknown level, one that the cell does not have, or a number out of its range.
    """

    def __init__(
        self, cell: RecurrentCell, level: str, *, reach: int = 1, paths: int = 4, seed: int = 0
    ) -> None:  # fmt: skip
        names = ('diagonal',) if cell.is_diagonal else tuple(name for name in LEVELS if name != 'diagonal')
        if level not in names:
            raise UserError(
                f'RTRL level of {type(cell).__name__}', expected='one of ' + ', '.join(names), found=repr(level)
            )
        if reach < 1 or not 1 <= paths <= max(cell.units, paths if level != 'paths' else 0):
            raise UserError(
                'RTRL level', expected=f'reach >= 1 and paths from 1 to {cell.units}',
                found=f'reach {reach}, paths {paths}',
            )  # fmt: skip
        self.cell, self.level = cell, level
        self._reach, self._paths, self._seed = reach, paths, seed
        self._influence = self._make()

    def initial(self, batch: int) -> CellState:
        """Returns the state before the first step of B = `batch` streams."""
        return {**self.cell.initial(batch), INFLUENCE: self._influence.initial(batch)}

    def step(self, state: CellState, x: Tensor) -> tuple[CellState, Tensor]:
        """Takes one step.

        Args:
            x: float (B, I).

        Returns:
            the next state, without a graph, and the output (B, O). `backward` from the output adds the gradient of
            `gradient` to the cell's parameters, through all steps since `initial`; nothing flows to x.

        Raises:
            UserError: x is not finite; one such number would spoil the influence for good.
        """
        if not torch.isfinite(x).all():
            raise UserError('input of a recurrent cell', expected='finite numbers', found='NaN or infinity')
        with torch.no_grad():
            after, output, step = self.cell.linearise(state, x)
            after[INFLUENCE] = self._influence.update(state[INFLUENCE], step)
        output = _Output.apply(output, self, after, *self.cell.parameters())  # type: ignore[no-untyped-call]
        return after, output

    @torch.no_grad()
    def gradient(self, state: CellState, output_gradient: Tensor) -> dict[str, Tensor]:
        """Returns the gradient of a loss of the last step's output by all parameters, summed over the batch.

        Args:
            state: after that step. output_gradient: dL/dh, (B, O).

        Returns:
            tensors shaped as the cell's parameters, by their names; 0 for pruned weights.
        """
        to_state, direct = self.cell.pull_back(state, output_gradient)
        kept = self._influence.gradient(state[INFLUENCE], to_state)
        if direct is not None:
            kept[:, -1] += direct.sum(0)
        rows = kept.new_zeros(self.cell.units, self.cell.parameters_per_unit)
        rows.scatter_(1, self._influence.columns, kept)
        return self.cell.unflatten(rows * self.cell.kept())

    def take_masks(self, state: CellState) -> CellState:
        """Returns the state for the cell's present masks; call it after `rewire`.

        What is known of parameters that are still there is kept, and new ones begin with no influence.
        """
        wide = self._influence.expand(state[INFLUENCE])
        self._influence = self._make()
        return {**state, INFLUENCE: self._influence.compress(wide)}

    @torch.no_grad()
    def operations(self, state: CellState, x: Tensor) -> Operations:
        """Counts the multiply-adds of the influence and its gradient in the step from `state` with x (B, I)."""
        return self._influence.operations(state[INFLUENCE], self.cell.linearise(state, x)[2])

    def expanded(self, state: CellState) -> Tensor:
        """Returns the influence as (B, H, H, K): of each unit's state by each unit's parameters."""
        return self._influence.expand(state[INFLUENCE])

    def _make(self) -> Influence:
        cell, kept = self.cell, self.cell.kept()
        counts = kept.sum(1)
        if not bool((counts == counts[0]).all()):
            raise UserError(
                'pruning masks', expected='equally many weights of each unit',
                found=f'{int(counts.min())} to {int(counts.max())}', do='Make them with `prune`.',
            )  # fmt: skip
        chosen = stream(self._seed, 'rtrl.paths', 0).permutation(cell.units)[: self._paths]
        levels: dict[str, Callable[[], Influence]] = {
            'dense': lambda: FullInfluence(cell, torch.ones_like(kept), skip_silent=False),
            'sparse': lambda: FullInfluence(cell, kept, skip_silent=True),
            'paths': lambda: FullInfluence(cell, kept, skip_silent=True, paths=torch.from_numpy(chosen)),
            'diagonal': lambda: DiagonalInfluence(cell, kept),
            'snap': lambda: (
                ReachInfluence(cell, kept, self._reach) if self._reach > 1 else DiagonalInfluence(cell, kept)
            ),
        }
        return levels[self.level]()


class _Output(torch.autograd.Function):
    """The output of a step, with a gradient by the cell's parameters that is that of `RtrlLearner.gradient`."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, output: Tensor, learner: RtrlLearner, state: CellState, *_parameters: Tensor
    ) -> Tensor:
        """Returns the output."""
        ctx.learner, ctx.state = learner, state
        return output.view_as(output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Returns a gradient for each parameter."""
        found = ctx.learner.gradient(ctx.state, output_gradient)
        return None, None, None, *(found[name] for name, _ in ctx.learner.cell.named_parameters())
