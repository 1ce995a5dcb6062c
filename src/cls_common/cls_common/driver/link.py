"""The thread that owns a robot, so that an unresponsive one can't delay an emergency stop."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import logging
import threading
from typing import Generic, Protocol, TypeVar

from ..errors import UserError
from ..settings import setting, Settings
from .actions import ActionResult, DriverAction, ResultCache
from .safety import Code, Guard, Refusal

_JOIN_TIMEOUT = 5.0
_log = logging.getLogger(__name__)
Status = TypeVar('Status')
StatusOut = TypeVar('StatusOut', covariant=True)


class LinkError(UserError):
    """The robot did not answer correctly, or is disconnected."""


@dataclass(frozen=True, kw_only=True)
class ReconnectSettings(Settings):
    """Waits between attempts to open a lost link."""

    first: float = setting(0.5, 'Wait before the first attempt; doubles with each.', unit='s', low=0.05, high=60.0)
    longest: float = setting(5.0, 'Longest wait between attempts.', unit='s', low=0.05, high=60.0)


class RobotDriver(Protocol[StatusOut]):
    """What a link runs: one robot. Used by the link's thread only, except `guard.latch`, `send_stop` and `status`."""

    guard: Guard

    @property
    def is_connected(self) -> bool:
        """Whether the link is open."""

    @property
    def time_until_poll(self) -> float:
        """Time until `poll` is due, s."""

    @property
    def must_switch_off(self) -> bool:
        """Whether the actuators have to be switched off."""

    def connect(self) -> None:
        """Opens the link; raises UserError."""

    def disconnect(self, error: Exception) -> None:
        """Stops the robot if that is still possible and closes a lost link: no motion until `connect` succeeds."""

    def close(self) -> None:
        """Closes the link; may be called twice."""

    def check(self, action: DriverAction) -> Refusal | None:
        """Returns the reason to refuse an action now, or None."""

    def refuse(self, action: DriverAction, refusal: Refusal) -> ActionResult:
        """Returns the result of a refused action."""

    def act(self, action: DriverAction) -> ActionResult:
        """Carries out an action and returns its result."""

    def poll(self) -> None:
        """Keeps the link alive; raises LinkError if the robot does not answer."""

    def switch_off(self) -> None:
        """Switches the actuators off, confirmed by the robot; raises LinkError if it does not answer."""

    def send_stop(self) -> None:
        """Sends a stop without waiting for its confirmation; from any thread; raises LinkError."""

    def status(self) -> StatusOut:
        """Returns the status; from any thread."""


class Link(Generic[Status]):
    """Takes actions and stops from the node's thread and runs the driver in its own.

    At most one action is pending: a newer one replaces it, and the older is refused.

    Args:
        driver: the robot.
        reconnect: waits between attempts to open a lost link.
        on_change: called when there are new results or states, from either thread; must not block.
        clock: s, steady.
        off_on_exit: switches the actuators off when the link ends.
    """

    def __init__(
        self,
        driver: RobotDriver[Status],
        reconnect: ReconnectSettings,
        on_change: Callable[[], None],
        clock: Callable[[], float],
        *,
        off_on_exit: bool = True,
    ) -> None:
        self._driver = driver
        self._reconnect_waits = reconnect
        self._off_on_exit = off_on_exit
        self._on_change = on_change
        self._clock = clock
        self._thread: threading.Thread | None = None
        # Protects the attributes below; not held during requests to the robot.
        self._condition = threading.Condition()
        self._is_closing = False
        self._pending: DriverAction | None = None
        self._results: deque[ActionResult] = deque()
        self._cache = ResultCache()

    def start(self) -> None:
        """Starts the thread, which keeps the robot alive and carries out actions."""
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name='robot link', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; switches the actuators off if `off_on_exit`. May be called twice."""
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT)
            self._thread = None
        if self._off_on_exit:
            try:
                self._driver.switch_off()
            except LinkError as error:
                self._driver.disconnect(error)

    def close(self) -> None:
        """Stops and closes the link; may be called twice."""
        self.stop()
        self._driver.close()

    def submit(self, action: DriverAction) -> None:
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
        """Latches and switches the actuators off, also during a move.

        Args:
            wait: s to wait for the robot's confirmation.

        Returns:
            whether the robot confirmed within `wait` that its outputs are off.
        """
        guard = self._driver.guard
        try:
            guard.latch.engage(self._driver.send_stop)
        except LinkError as error:
            _log.error('%s', error)
        with self._condition:
            self._condition.notify_all()
            confirmed = self._condition.wait_for(lambda: guard.off_confirmed, wait)
        self._on_change()
        return confirmed

    def rearm(self) -> str:
        """Ends the emergency stop or a fault of position; the actuators stay off until the next action.

        Returns:
            the reason why it is not possible, or ''.
        """
        guard = self._driver.guard
        if guard.needs_rearm and not guard.off_confirmed:
            return f'the robot has not confirmed that its outputs are off; {guard.reason.text}'
        guard.rearm()
        self._on_change()
        return ''

    def status(self) -> Status:
        """Returns the status of the driver."""
        return self._driver.status()

    def _accept(self, action: DriverAction) -> None:
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

    def _run(self) -> None:
        while not self._is_closing:
            try:
                if not self._driver.is_connected:
                    self._reconnect()
                else:
                    self._step()
            except LinkError as error:
                _log.error('%s', error)
                self._driver.disconnect(error)
            except Exception as error:
                _log.exception('robot link')
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
        wait = self._reconnect_waits.first
        while not self._is_closing and not self._driver.is_connected:
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
                    _log.info('the robot is connected again')
                else:
                    _log.error('%s', self._driver.guard.reason.text)
            except UserError as error:
                self._driver.disconnect(error)
                self._notify()
            wait = min(2 * wait, self._reconnect_waits.longest)

    def _is_due(self) -> bool:
        return self._is_closing or self._pending is not None or self._driver.must_switch_off

    def _notify(self) -> None:
        with self._condition:
            self._condition.notify_all()
        self._on_change()
