"""One recording, from its start to its end: a thread that writes what others put into its queue. No ROS here."""

from collections.abc import Callable
from dataclasses import replace
import threading
import time
import traceback

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from .message_queue import MessageQueue, Received
from .settings import RecorderSettings
from .storing import Progress, Storing

# Says one line to people; true: something is wrong.
Say = Callable[[str, bool], None]
# While nobody said which robot it is, look so often whether the recording was stopped, s.
_LOOK_AGAIN = 0.1


class Recording:
    """Records from `start` to `stop`, or until the disk fails.

    Messages may come before the robot is known: they wait, and its folder is made when it is.

    Args:
        settings: limits and places. name: of the session; empty: by the time.
        say: told of what a person should know, from any thread.
    """

    def __init__(self, settings: RecorderSettings, name: str, say: Say) -> None:
        self._settings, self._say = settings, say
        self._queue = MessageQueue(settings.queue_messages, settings.queue_bytes)
        self._storing = Storing(settings, name, say)
        self._is_identified = threading.Event()
        self._thread = threading.Thread(target=self._run, name='recording', daemon=True)
        self._progress = Progress(budget_bytes=settings.budget_bytes)

    def start(self) -> None:
        """Begins.

        Raises:
            UserError: where the robot is known: its folder can't be made.
        """
        if self._is_identified.is_set():
            try:
                self._storing.open(time.monotonic())
            except OSError as error:
                raise self._storing.explain(error) from error
        self._report(True)
        self._thread.start()

    def put(self, message: Received) -> None:
        """Takes a message; drops and counts it where the queue is full."""
        self._queue.put(message)

    def identify(self, robot: RobotInfo) -> None:
        """Says which robot it is; another one than before gets a session of its own."""
        self._storing.robot = robot
        self._is_identified.set()

    def describe(self, **known: object) -> None:
        """Says more of the session: encoder, model, run_id, config_sha256, as in SessionInfo."""
        self._storing.describe(known)

    def report_lost(self, topic: str, count: int) -> None:
        """Says that the transport lost messages."""
        self._storing.losses.report(topic, count)

    @property
    def progress(self) -> Progress:
        """How it fares: at the last sync, but for what waits and was lost, which is of this moment."""
        at_sync, storing, queue = self._progress, self._storing, self._queue
        waiting, waiting_bytes = queue.accepted - storing.heard, queue.accepted_bytes - storing.heard_bytes
        return replace(
            at_sync, messages=max(queue.accepted - storing.earlier, at_sync.messages),
            bytes=max(queue.accepted_bytes - storing.earlier_bytes, at_sync.bytes),
            waiting=max(waiting, 0), waiting_bytes=max(waiting_bytes, 0), dropped=queue.dropped,
            lost=storing.losses.count,
        )  # fmt: skip

    def stop(self) -> Progress:
        """Writes what waits, closes the session, and returns how it ended."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()
        return self.progress

    def _run(self) -> None:
        fault = ''
        try:
            self._await_robot()
            if not (self._queue.is_closed and not len(self._queue) and not self._storing.is_open):
                self._write_all()
        except OSError as error:
            fault = str(self._storing.explain(error))
        except UserError as error:
            fault = str(error)
        except Exception as error:  # border of the thread: a recorder that stopped must say so
            fault = f'a mistake of the recorder itself: {error!r}'
            self._say(traceback.format_exc(), True)
        finally:
            if fault:
                self._queue.close()
                self._storing.abandon()
                self._say(f'recording stopped: {fault}', True)
            self._report(False, fault)

    def _await_robot(self) -> None:
        deadline = time.monotonic() + self._settings.robot_timeout
        while not self._queue.is_closed and time.monotonic() < deadline:
            if self._is_identified.wait(_LOOK_AGAIN):
                return

    def _write_all(self) -> None:
        storing, period = self._storing, self._settings.sync_period
        now = time.monotonic()
        if not storing.is_open:
            storing.open(now)
        due = now + period
        while True:
            is_last = self._queue.is_closed
            storing.write(self._queue.take(max(due - now, 0.0)), now)
            now = time.monotonic()
            if now >= due or is_last:
                storing.sync(now, self._queue.dropped)
                due = now + period
                self._report(True)
            if is_last:
                break
        storing.close(self._queue.dropped)

    def _report(self, recording: bool, fault: str = '') -> None:
        self._progress = self._storing.progress(recording, fault, time.monotonic())
