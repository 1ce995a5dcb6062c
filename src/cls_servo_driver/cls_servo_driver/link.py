"""The thread that owns the board, so that an unresponsive board can't delay an emergency stop."""

from collections import deque
from collections.abc import Callable
import logging
import threading

from cls_common.errors import UserError

from .action_results import ActionResult, ResultCache, ServoAction
from .driver import Driver, DriverStatus
from .safety import Code, Refusal
from .settings import ServoDriverSettings
from .transport import LinkError

_JOIN_TIMEOUT = 5.0
_log = logging.getLogger(__name__)


class Link:
    """Takes actions and stops from the node's thread and runs the driver in its own.

    At most one action is pending: a newer one replaces it, and the older is refused.

    Args:
        driver: used by the link's thread only while it runs, except for its latch and status.
        on_change: called when there are new results or states, from either thread; must not block.
        clock: s, steady.
    """

    def __init__(
        self, driver: Driver, settings: ServoDriverSettings, on_change: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._driver = driver
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._thread: threading.Thread | None = None
        # Protects the attributes below; not held during requests to the board.
        self._condition = threading.Condition()
        self._is_closing = False
        self._pending: ServoAction | None = None
        self._results: deque[ActionResult] = deque()
        self._cache = ResultCache()

    def start(self) -> None:
        """Starts the thread, which keeps the board alive and carries out actions."""
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name='servo link', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; switches torque off if `torque_off_on_exit`. May be called twice."""
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT)
            self._thread = None
        if self._settings.torque_off_on_exit:
            try:
                self._driver.switch_off()
            except LinkError as error:
                self._driver.disconnect(error)

    def close(self) -> None:
        """Stops and closes the port; may be called twice."""
        self.stop()
        if self._driver.board is not None:
            self._driver.board.close()
            self._driver.board = None

    def submit(self, action: ServoAction) -> None:
        """Takes an action without blocking. Its result, also of a refusal, is returned by `take_results`."""
        with self._condition:
            cached = self._cache.recall(action)
            if cached is not None:
                self._results.append(cached)
            elif self._cache.begin(action):
                self._accept(action)
            self._condition.notify_all()
        self._on_change()

    def take_results(self) -> list[ActionResult]:
        """Returns the results since the last call, in order."""
        with self._condition:
            results = list(self._results)
            self._results.clear()
        return results

    def emergency_stop(self, wait: float) -> bool:
        """Latches and switches torque off, also during a move.

        Args:
            wait: s to wait for the board's confirmation.

        Returns:
            whether the board confirmed within `wait` that its outputs are off.
        """
        guard = self._driver.guard
        try:
            guard.latch.engage(self._send_stop)
        except LinkError as error:
            _log.error('%s', error)
        with self._condition:
            self._condition.notify_all()
            confirmed = self._condition.wait_for(lambda: guard.off_confirmed, wait)
        self._on_change()
        return confirmed

    def rearm(self) -> str:
        """Ends the emergency stop or a fault of position; torque stays off until the next action.

        Returns:
            the reason why it is not possible, or ''.
        """
        guard = self._driver.guard
        if guard.needs_rearm and not guard.off_confirmed:
            return f'the board has not confirmed that its outputs are off; {guard.reason.text}'
        guard.rearm()
        self._on_change()
        return ''

    def status(self) -> DriverStatus:
        """Returns the status of the driver."""
        return self._driver.status()

    def _accept(self, action: ServoAction) -> None:
        refusal = self._driver.check(action)
        if refusal is not None:
            self._store(self._driver.refuse(action, refusal))
            return
        older, self._pending = self._pending, action
        if older is not None:
            superseded = Refusal(Code.NOT_READY, 'a newer action replaced this one before it began')
            self._store(self._driver.refuse(older, superseded))

    def _store(self, result: ActionResult) -> None:
        self._cache.keep(result, self._clock())
        self._results.append(result)

    def _send_stop(self) -> None:
        board = self._driver.board
        if board is not None:
            board.send_stop()

    def _run(self) -> None:
        while not self._is_closing:
            try:
                if self._driver.board is None:
                    self._reconnect()
                else:
                    self._step()
            except LinkError as error:
                _log.error('%s', error)
                self._driver.disconnect(error)
            except Exception as error:
                _log.exception('servo link')
                self._driver.disconnect(error)
            self._notify()

    def _step(self) -> None:
        with self._condition:
            self._condition.wait_for(self._is_due, self._driver.time_until_poll)
            action, self._pending = self._pending, None
        if action is not None:
            result = self._driver.act(action)
            with self._condition:
                self._store(result)
            # Before a keepalive that may be due as well.
            self._notify()
        if not self._is_closing:
            self._driver.poll()

    def _reconnect(self) -> None:
        wait = self._settings.reconnect.first
        while not self._is_closing and self._driver.board is None:
            with self._condition:
                if self._pending is not None:
                    self._store(self._driver.act(self._pending))
                    self._pending = None
                self._condition.wait_for(lambda: self._is_closing, wait)
            if self._is_closing:
                return
            try:
                self._driver.connect()
                if self._driver.guard.knows_position:
                    _log.info('the servo board is connected again')
                else:
                    _log.error('%s', self._driver.guard.reason.text)
            except UserError as error:
                self._driver.disconnect(error)
                self._notify()
            wait = min(2 * wait, self._settings.reconnect.longest)

    def _is_due(self) -> bool:
        return self._is_closing or self._pending is not None or self._driver.must_switch_off

    def _notify(self) -> None:
        with self._condition:
            self._condition.notify_all()
        self._on_change()
