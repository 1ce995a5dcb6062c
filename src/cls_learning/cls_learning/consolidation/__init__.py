"""Sleep: phases by name, one file each, found by `sleep.phases`; `phases` runs them."""

from pathlib import Path

from .. import by_name
from .contract import Phase


def make(name: str) -> Phase:
    """Returns a phase by the name of its file.

    Raises:
        UserError: no such phase.
    """
    phase: Phase = by_name.find(__name__, Path(__file__).parent, 'sleep phase', name, apart=('phases',)).PHASE
    return phase
