"""A recording: a thread that writes queued messages to sessions. No ROS here."""

from collections.abc import Callable
from dataclasses import replace
import threading
import time
import traceback

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from .message_queue import MessageQueue, ReceivedMessage
from .session_writer import RecordingProgress, SessionWriter
from .settings import RecorderSettings

# Logs one line; true: as an error.
Log = Callable[[str, bool], None]
# While the robot is unknown: period of checking whether the recording was stopped, s.
_POLL_PERIOD = 0.1


class Recording:
    """Records from `start` to `stop`, or until the disk fails.

    Messages that arrive before the robot is known are queued; its folder is created as soon as it is known.

    Args:
        settings: limits and folders. name: of the session; empty: from the current time.
        log: called from any thread.
    """

    def __init__(self, settings: RecorderSettings, name: str, log: Log) -> None:
        self._settings, self._log = settings, log
        self._queue = MessageQueue(settings.queue_messages, settings.queue_bytes)
        self._writer = SessionWriter(settings, name, log)
        self._is_identified = threading.Event()
        self._thread = threading.Thread(target=self._run, name='recording', daemon=True)
        self._progress = RecordingProgress(budget_bytes=settings.budget_bytes)

    def start(self) -> None:
        """Begins.

        Raises:
            UserError: where the robot is known: its folder can't be made.
        """
        if self._is_identified.is_set():
            try:
                self._writer.open(time.monotonic())
            except OSError as error:
                raise self._writer.explain(error) from error
        self._report(True)
        self._thread.start()

    def put(self, message: ReceivedMessage) -> None:
        """Queues a message; drops and counts it if the queue is full."""
        self._queue.put(message)

    def identify(self, robot: RobotInfo) -> None:
        """Sets the robot; a different one than before begins a new session."""
        self._writer.robot = robot
        self._is_identified.set()

    def describe(self, **known: object) -> None:
        """Adds to the session's metadata: encoder, model, run_id, config_sha256, as in SessionInfo."""
        self._writer.describe(known)

    def report_lost(self, topic: str, count: int) -> None:
        """Counts messages that the transport reports as lost."""
        self._writer.losses.report(topic, count)

    @property
    def progress(self) -> RecordingProgress:
        """Progress as of the last sync; queued, dropped and lost messages as of now."""
        at_sync, writer, queue = self._progress, self._writer, self._queue
        waiting, waiting_bytes = queue.accepted - writer.written, queue.accepted_bytes - writer.written_bytes
        return replace(
            at_sync,
            messages=max(queue.accepted - writer.earlier, at_sync.messages),
            bytes=max(queue.accepted_bytes - writer.earlier_bytes, at_sync.bytes),
            waiting=max(waiting, 0),
            waiting_bytes=max(waiting_bytes, 0),
            dropped=queue.dropped,
            lost=writer.losses.count,
        )

    def stop(self) -> RecordingProgress:
        """Writes the queued messages, closes the session, and returns the final progress."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()
        return self.progress

    def _run(self) -> None:
        fault = ''
        try:
            self._await_robot()
            if not (self._queue.is_closed and not len(self._queue) and not self._writer.is_open):
                self._write_all()
        except OSError as error:
            fault = str(self._writer.explain(error))
        except UserError as error:
            fault = str(error)
        except Exception as error:  # border of the thread: a stopped recorder has to be reported
            fault = f'internal error of the recorder: {error!r}'
            self._log(traceback.format_exc(), True)
        finally:
            if fault:
                self._queue.close()
                self._writer.abandon()
                self._log(f'recording stopped: {fault}', True)
            self._report(False, fault)

    def _await_robot(self) -> None:
        deadline = time.monotonic() + self._settings.robot_timeout
        while not self._queue.is_closed and time.monotonic() < deadline:
            if self._is_identified.wait(_POLL_PERIOD):
                return

    def _write_all(self) -> None:
        writer, period = self._writer, self._settings.sync_period
        now = time.monotonic()
        if not writer.is_open:
            writer.open(now)
        due = now + period
        while True:
            is_last = self._queue.is_closed
            writer.write(self._queue.take(max(due - now, 0.0)), now)
            now = time.monotonic()
            if now >= due or is_last:
                writer.sync(now, self._queue.dropped)
                due = now + period
                self._report(True)
            if is_last:
                break
        writer.close(self._queue.dropped)

    def _report(self, recording: bool, fault: str = '') -> None:
        self._progress = self._writer.progress(recording, fault, time.monotonic())
