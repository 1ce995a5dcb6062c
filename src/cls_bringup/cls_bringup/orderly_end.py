"""End of a run: acting stops, a running sleep is undone, remaining steps are learned, the model is saved."""

from collections.abc import Callable
import threading
import time
from typing import TYPE_CHECKING

from cls_common.comms import ACTING_MODES
from cls_common.errors import UserError

from .snapshot import LearnerStatuses

if TYPE_CHECKING:
    from .nodes.graph_client import GraphClient

# s. A save starts when everything is learned, and takes a minute on a busy machine.
_SAVE_TIME, _RETRY_PERIOD = 180.0, 0.5


class OrderlyEnd:
    """Stops acting and saves the model before the processes are ended; run it in a thread and show `message`.

    Attributes:
        message: current step, for display.
        saved: message of the learner after the save; empty before.
        problem: why it was not saved; empty if it was, or if there is nothing to save.
    """

    def __init__(self, client: 'GraphClient', give_up: Callable[[], bool]) -> None:
        self._client = client
        self._give_up = give_up
        self.message = 'ending …'
        self.saved = self.problem = ''

    def run(self) -> None:
        """Stops acting and saves; returns after success, failure or `give_up`."""
        statuses = self._client.statuses()
        if not statuses.loaded or statuses.total_steps == 0:
            return
        self._stop_acting(statuses)
        self.message = 'saving …  (Ctrl-C: end without saving; the journal has all steps)'
        deadline = time.monotonic() + _SAVE_TIME
        pause = threading.Event()
        while not self._save() and not self._give_up() and time.monotonic() < deadline:
            pause.wait(_RETRY_PERIOD)

    def _stop_acting(self, statuses: LearnerStatuses) -> None:
        # No step may start between the save and the end, or it would not be saved.
        if statuses.fast is None or statuses.fast.mode not in ACTING_MODES or statuses.done:
            return
        try:
            self._client.set_mode('manual')
        except UserError as error:
            self.problem = str(error)

    def _save(self) -> bool:
        try:
            if self._client.statuses().is_asleep:
                self.message = 'undoing the running sleep, then saving …'
                self._client.cancel_sleep()
            self.saved = self._client.save_model(self._give_up)
            self.problem = ''
        except UserError as error:
            self.problem = f'not saved: {error}'
        return bool(self.saved)
