"""Sleep phases by name: one file each, found by `sleep.phases`; the module `phases` runs them."""

from typing import TYPE_CHECKING

from ..registries import PHASES

if TYPE_CHECKING:  # settings of phases are listed without PyTorch
    from .contract import Phase


def make(name: str) -> 'Phase':
    """Returns a phase by the name of its file.

    Raises:
        UserError: no such phase.
    """
    phase: Phase = PHASES.find(name).PHASE
    return phase
