"""A world model on recurrent trace units (Elelimy et al. 2024), whose exact online gradient costs as much as a step."""

from ..randomness import derive
from ..rtrl.trace_units import TraceUnitsCell
from .event_gru import CellWorldModel

RTRL_LEVELS = ('diagonal',)


def make(*, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> CellWorldModel:
    """Makes an untrained network: the first of `hidden` are the units of the cell, with two outputs each."""
    units, *layers = hidden
    cell = TraceUnitsCell(z_size + action_size, units, seed=derive(seed, 'cell'))
    return CellWorldModel(cell, z_size, tuple(layers), residual, seed)
