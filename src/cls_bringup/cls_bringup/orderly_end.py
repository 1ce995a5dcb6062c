"""The end of a run: acting stops, a sleep under way is undone, slow_learner learns what is left, the model is saved."""

from collections.abc import Callable
import threading
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError

from .snapshot import Pair

if TYPE_CHECKING:
    from .nodes.remote import Remote

# s. A save begins when everything is learned, and on a busy machine takes a minute.
_PATIENCE, _AGAIN = 180.0, 0.5
_ACTING = ('random', 'curiosity')


class OrderlyEnd:
    """Does everything that comes before the processes are ended; run it in a thread, and show `message` meanwhile.

    Attributes:
        message: what is done now, for people.
        saved: what the learner said when the model was saved; empty where it was not.
        problem: why it was not saved; empty where it was, or where there is nothing to save.
    """

    def __init__(self, remote: 'Remote', give_up: Callable[[], bool]) -> None:
        self._remote = remote
        self._give_up = give_up
        self.message = 'ending …'
        self.saved = self.problem = ''

    def run(self) -> None:
        """Stops acting and saves; returns when that is done, has failed, or is given up."""
        pair = self._remote.pair()
        if not pair.loaded or pair.total_steps == 0:
            return
        self._stop_acting(pair)
        self.message = 'saving …  (Ctrl-C: end without; what was learned is in the journal)'
        deadline = time.monotonic() + _PATIENCE
        pause = threading.Event()
        while not self._save() and not self._give_up() and time.monotonic() < deadline:
            pause.wait(_AGAIN)

    def _stop_acting(self, pair: Pair) -> None:
        # No step begins between the save and the end: what is saved is all there is.
        if pair.fast is None or pair.fast.mode not in _ACTING or pair.done:
            return
        try:
            self._remote.set_mode('manual')
        except UserError as error:
            self.problem = str(error)

    def _save(self) -> bool:
        try:
            if self._remote.pair().is_asleep:
                self.message = 'undoing the sleep under way, then saving …'
                self._remote.cancel_sleep()
            self.saved = self._remote.save_model(self._give_up)
            self.problem = ''
        except UserError as error:
            self.problem = f'not saved: {error}'
        return bool(self.saved)
