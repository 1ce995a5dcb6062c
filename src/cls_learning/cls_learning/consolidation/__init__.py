"""Sleep phases by name: one file each, found by `sleep.phases`; the module `phases` runs them."""

from ..registries import PHASES
from .contract import Phase


def make(name: str) -> Phase:
    """Returns a phase by the name of its file.

    Raises:
        UserError: no such phase.
    """
    phase: Phase = PHASES.find(name).PHASE
    return phase
