"""The thread that owns the board, so that a board that does not answer can't hold up an emergency stop."""

from collections import deque
from collections.abc import Callable
import logging
import threading

from cls_common.errors import UserError

from .answers import Action, Answer, AnswerMemory
from .driver import Driver, Snapshot
from .safety import Code, Refusal
from .settings import ServoDriverSettings
from .transport import LinkError

_JOIN_TIMEOUT = 5.0
_log = logging.getLogger(__name__)


class Link:
    """Takes actions and stops from the node's thread and runs the driver in its own.

    One action waits at most: a newer one takes its place, and the older is answered as refused.

    Args:
        driver: used by the link's thread alone while it runs, but for its latch and snapshots.
        on_change: called when there are answers or another state, from either thread; must not wait.
        clock: s, steady.
    """

    def __init__(
        self, driver: Driver, settings: ServoDriverSettings, on_change: Callable[[], None], clock: Callable[[], float]
    ) -> None:  # fmt: skip
        self._driver = driver
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._thread: threading.Thread | None = None
        # Guards what stands below it; never held while the board is asked.
        self._condition = threading.Condition()
        self._is_closing = False
        self._waiting: Action | None = None
        self._answers: deque[Answer] = deque()
        self._memory = AnswerMemory()

    def start(self) -> None:
        """Starts the thread: from here on the board is kept alive and actions are taken."""
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name='servo link', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, with torque off where that is set; may be called twice."""
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
                self._driver.lose(error)

    def close(self) -> None:
        """Stops and gives the port back; may be called twice."""
        self.stop()
        if self._driver.board is not None:
            self._driver.board.close()
            self._driver.board = None

    def submit(self, action: Action) -> None:
        """Takes an action without waiting. Its answer, a refusal too, comes with `take_answers`."""
        with self._condition:
            given = self._memory.recall(action)
            if given is not None:
                self._answers.append(given)
            elif self._memory.begin(action):
                self._take(action)
            self._condition.notify_all()
        self._on_change()

    def take_answers(self) -> list[Answer]:
        """Returns what was answered since the last call, in order."""
        with self._condition:
            answers = list(self._answers)
            self._answers.clear()
        return answers

    def emergency_stop(self, wait: float) -> bool:
        """Latches and switches torque off, whatever else is going on.

        Args:
            wait: s to wait for the board's word.

        Returns:
            whether the board said within `wait` that its outputs are off.
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
            what hinders it, or ''.
        """
        guard = self._driver.guard
        if guard.needs_rearm and not guard.off_confirmed:
            return f'the board has not confirmed that its outputs are off; {guard.reason.text}'
        guard.rearm()
        self._on_change()
        return ''

    def snapshot(self) -> Snapshot:
        """Returns how things stand."""
        return self._driver.snapshot()

    def _take(self, action: Action) -> None:
        refusal = self._driver.why_not(action)
        if refusal is not None:
            self._keep(self._driver.refuse(action, refusal))
            return
        older, self._waiting = self._waiting, action
        if older is not None:
            superseded = Refusal(Code.NOT_READY, 'a newer action came before this one could begin')
            self._keep(self._driver.refuse(older, superseded))

    def _keep(self, answer: Answer) -> None:
        self._memory.keep(answer, self._clock())
        self._answers.append(answer)

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
                    self._turn()
            except LinkError as error:
                _log.error('%s', error)
                self._driver.lose(error)
            except Exception as error:
                _log.exception('servo link')
                self._driver.lose(error)
            self._changed()

    def _turn(self) -> None:
        with self._condition:
            self._condition.wait_for(self._is_due, self._driver.quiet_for)
            action, self._waiting = self._waiting, None
        if action is not None:
            answer = self._driver.act(action)
            with self._condition:
                self._keep(answer)
            # At once, not after a keepalive that may be due as well.
            self._changed()
        if not self._is_closing:
            self._driver.look_after()

    def _reconnect(self) -> None:
        wait = self._settings.reconnect.first
        while not self._is_closing and self._driver.board is None:
            with self._condition:
                if self._waiting is not None:
                    self._keep(self._driver.act(self._waiting))
                    self._waiting = None
                self._condition.wait_for(lambda: self._is_closing, wait)
            if self._is_closing:
                return
            try:
                self._driver.connect()
                if self._driver.guard.knows_position:
                    _log.info('the servo board is back')
                else:
                    _log.error('%s', self._driver.guard.reason.text)
            except UserError as error:
                self._driver.lose(error)
                self._changed()
            wait = min(2 * wait, self._settings.reconnect.longest)

    def _is_due(self) -> bool:
        return self._is_closing or self._waiting is not None or self._driver.must_switch_off

    def _changed(self) -> None:
        with self._condition:
            self._condition.notify_all()
        self._on_change()
