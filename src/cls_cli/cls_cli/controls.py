"""Sends what the keys of the live view ask for to the running graph."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cls_common.errors import UserError

from . import keys

if TYPE_CHECKING:
    from cls_bringup.nodes.graph_client import GraphClient


class Controls:
    """Handles keys. Calls to the graph run in threads beside the view, one at a time except the emergency stop.

    Attributes:
        message: answer to the last key.
        has_quit: whether the quit key was pressed.
        are_pictures_alone: whether pictures are shown in place of figures.
    """

    def __init__(self, client: 'GraphClient') -> None:
        self._client = client
        # Two workers, so that an emergency stop never waits for a save.
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix='controls')
        self._pending: Future[str] | None = None
        self.message = ''
        self.has_quit = self.are_pictures_alone = False

    def press(self, key: str) -> None:
        """Handles one key; unknown keys are ignored."""
        if key == keys.QUIT:
            self.has_quit = True
        elif key == keys.PICTURES:
            self._client.watch_pictures()
            self.are_pictures_alone = not self.are_pictures_alone
        elif keys.moves(key):
            self.message = self._move(key)
        elif key in keys.MODES:
            self._call(f'mode {keys.MODES[key]} …', lambda: self._client.set_mode(keys.MODES[key]))
        elif key == keys.STOP:
            self._submit('stopping …', self._client.emergency_stop)
        elif key == keys.REARM:
            self._submit('rearming …', self._client.rearm)
        elif key == keys.SAVE:
            self._call('saving …', self._client.save_model)
        elif key == keys.SLEEP:
            self._call('falling asleep …', self._fall_asleep)

    def _move(self, key: str) -> str:
        fast = self._client.statuses().fast
        if fast is None or fast.mode != 'manual':
            return 'keys move the robot in mode manual only: press 1'
        return keys.send(self._client.manual, key)

    def _fall_asleep(self) -> str:
        self._client.sleep()
        return 'asleep'

    def _call(self, message: str, work: Callable[[], str]) -> None:
        if self._pending is not None and not self._pending.done():
            self.message = 'the last key is still being handled'
            return
        self._pending = self._submit(message, work)

    def _submit(self, message: str, work: Callable[[], str]) -> 'Future[str]':
        self.message = message
        future = self._workers.submit(work)
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future: 'Future[str]') -> None:
        error = future.exception()
        if error is None:
            self.message = future.result()
        else:
            self.message = str(error) if isinstance(error, UserError) else f'failed: {error!r}'

    def close(self) -> None:
        """Cancels pending calls without waiting for those under way."""
        self._workers.shutdown(wait=False, cancel_futures=True)
