"""What Fast learns from each step, by name: a file here, or an entry point of the group of this package's name."""

from typing import TYPE_CHECKING

from ....registries import OBJECTIVES

if TYPE_CHECKING:
    from ..settings import FastSettings
    from .contract import Objective


def make(settings: 'FastSettings') -> 'Objective':
    """Makes the objective that the settings name.

    Raises:
        UserError: no such objective.
    """
    kind = getattr(OBJECTIVES.find(settings.objective), 'SETTINGS', None)
    own = (settings.plugins.of(kind),) if kind else ()
    objective: Objective = OBJECTIVES.make(settings.objective, *own)
    return objective
