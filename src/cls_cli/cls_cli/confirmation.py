"""Actions that a learner proposes, confirmed or replaced by the user at a terminal."""

import sys
from typing import TYPE_CHECKING

from rich.console import Console

from cls_common.errors import UserError
from cls_common.robot import action_text
from cls_common.transition import Floats
from cls_learning.policies.contract import EndOfActionsError
from cls_learning.policies.manual import answered

from .picture_table import picture_table
from .run_policy.prompt import HINT, Lines
from .terminal import is_interactive

if TYPE_CHECKING:
    from cls_training.training import Proposal

# Wait for a line, s, and rows of the pictures above it.
_TURN, _ROWS = 0.5, 12


class Confirmation:
    """Asks for every action. Above it stands what the learner sees and expects, where it has pictures.

    Args:
        descriptor: answers are read from it, a line each.
    """

    def __init__(self, descriptor: int) -> None:
        self._lines = Lines(descriptor)

    def __call__(self, proposal: 'Proposal') -> Floats:
        """Returns the confirmed action, or the one that was typed; raises EndOfActionsError at the end of the input."""
        learner, channels = proposal.learner, proposal.robot.channels
        if is_interactive() and (pictures := learner.pictures()):
            console = Console()
            console.print(picture_table(pictures, console.width, _ROWS))
        known = learner.action_uncertainty(proposal.observation)
        figures = ', '.join(f'{action} {value:.3g}' for action, value in known.items())
        shown = action_text(channels, proposal.action) + (f'   uncertainty: {figures}' if known else '')
        while True:
            print(f'{learner.total_steps + 1}: {shown}   {HINT} ', end='', flush=True)
            try:
                return answered(self._read(), proposal.action, proposal.robot)
            except UserError as error:
                print(f'error: {error}', file=sys.stderr, flush=True)

    def _read(self) -> str:
        while (line := self._lines.read(_TURN)) is None:
            if not self._lines.is_open:
                raise EndOfActionsError('the input ended')
        if not is_interactive():
            print(line)
        return line
