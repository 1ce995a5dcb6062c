"""Sleep: phases by name, one file each, found by `sleep.phases`; `night` runs them."""

import importlib
from pathlib import Path

from cls_common.errors import UserError

from .contract import Phase


def make(name: str) -> Phase:
    """Returns a phase by the name of its file.

    Raises:
        UserError: no such phase.
    """
    not_phases = ('__init__', 'contract', 'night')
    names = sorted(p.stem for p in Path(__file__).parent.glob('*.py') if p.stem not in not_phases)
    if name not in names:
        raise UserError(f'unknown sleep phase {name!r}', expected='one of ' + ', '.join(names))
    phase: Phase = importlib.import_module(f'.{name}', __package__).PHASE
    return phase
