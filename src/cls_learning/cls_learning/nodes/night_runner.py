"""One sleep over the network: Fast is put to sleep, the phases run, Fast wakes with new weights or its old ones."""

from datetime import datetime
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING
import uuid

from rclpy.node import Node

from cls_common.errors import UserError
from cls_interfaces.action import Sleep

from ..agent.cortex import Cortex
from ..agent.sleeping import Night
from ..consolidation.night import Goal
from .fast_link import FastLink, NoAnswerError
from .jobs import SleepJob

if TYPE_CHECKING:
    from .slow_worker import SlowWorker

RENEW_PERIOD = 0.5


class _NightEndedError(Exception):
    """A night ends here: with which code and why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _LeaseKeeper:
    """Renews the lease of one sleep from a thread of its own, however long the training thread computes.

    Attributes:
        lost: set when Fast says that it has woken by itself.
    """

    def __init__(self, link: FastLink, sleep_id: str, lease: float) -> None:
        self.lost = threading.Event()
        self._link, self._sleep_id, self._lease = link, sleep_id, lease
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name='lease', daemon=True)

    def __enter__(self) -> '_LeaseKeeper':
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(RENEW_PERIOD):
            self._link.renew(self._sleep_id, self._lease, self.lost.set)


class NightRunner:
    """Runs sleeps for the worker, in its thread."""

    def __init__(self, node: Node, link: FastLink, lease: float, worker: 'SlowWorker') -> None:
        self._log = node.get_logger()
        self._link = link
        self._lease = lease
        self._worker = worker

    def sleep(self, cortex: Cortex, job: SleepJob) -> None:
        """Runs one sleep and keeps it, or undoes it; the job reports the outcome."""
        started = time.monotonic()
        sleep_id = uuid.uuid4().hex
        fast_sleeps, waking = False, b''
        try:
            state = self._link.begin_sleep(sleep_id, self._lease)
            waking = bytes(state.state)
            fast_sleeps = True
            with _LeaseKeeper(self._link, sleep_id, self._lease) as lease:
                self._worker.learn_up_to(state.sequence)
                self._run(cortex, job, sleep_id, waking, started, lease.lost)
            fast_sleeps = False
            job.code, job.message = Sleep.Result.NONE, job.statistics.text()
        except _NightEndedError as ended:
            job.code, job.message = ended.code, str(ended)
        except UserError as error:
            job.code, job.message = Sleep.Result.NO_FAST_LEARNER, str(error)
        finally:
            self._worker.show_phase('wake')
            job.duration = time.monotonic() - started
            self._worker.last_sleep = job.summary()
            self._log.info(job.summary())
            job.done.set()
        if fast_sleeps:
            # After the answer, so that nobody who cancelled waits for this too.
            self._wake_with_old(sleep_id)
        if job.verdict.rolled_back:
            # Otherwise the count of such sleeps would be lost with the next crash.
            self._save(cortex, waking)
            self._worker.show_phase('wake')

    def _wake_with_old(self, sleep_id: str) -> None:
        try:
            self._link.end_sleep(sleep_id, None, patience=2.0)
        except NoAnswerError as error:
            # Its lease runs out by itself.
            self._log.warning(str(error))

    def _run(
        self, cortex: Cortex, job: SleepJob, sleep_id: str, waking: bytes, started: float, lost: threading.Event
    ) -> None:
        night = cortex.begin_night(waking, job.goal)
        job.statistics = night.statistics
        try:
            for progress in night.run():
                self._worker.show_phase(progress.phase, progress.step, progress.steps)
                job.feedback(progress)
                self._check(cortex, job, lost, time.monotonic() - started)
            if night.diverged:
                raise _NightEndedError(
                    Sleep.Result.DIVERGED, 'loss or gradient was not finite; everything is as before'
                )
            if not any(night.statistics.steps.values()):
                raise _NightEndedError(Sleep.Result.EMPTY_MEMORY, night.statistics.text())
            data = night.finish()
            job.verdict = night.verdict
            if night.verdict.rolled_back:
                found = f'harm: {night.verdict.text()}; everything is as before'
                self._log.warning(f'sleep rolled back, {found}')
                raise _NightEndedError(Sleep.Result.GATE_ROLLED_BACK, found)
            self._keep(cortex, night, job.goal, sleep_id, data)
        except _NightEndedError:
            cortex.take_back(night, datetime.now())
            raise

    def _check(self, cortex: Cortex, job: SleepJob, lost: threading.Event, duration: float) -> None:
        if job.is_cancelled() or self._worker.is_stopping:
            raise _NightEndedError(Sleep.Result.CANCELLED, 'cancelled; everything is as before')
        if lost.is_set():
            raise _NightEndedError(Sleep.Result.LEASE_LOST, 'fast_learner woke by itself; everything is as before')
        limit = cortex.config.settings.sleep.max_duration
        if duration > limit:
            raise _NightEndedError(Sleep.Result.TIME_LIMIT, f'longer than {limit:g} s; everything is as before')

    def _keep(self, cortex: Cortex, night: Night, goal: Goal, sleep_id: str, data: bytes) -> None:
        with cortex.writing:
            cortex.announce(goal)
            try:
                answer = self._link.end_sleep(sleep_id, data)
            except NoAnswerError as error:
                raise _NightEndedError(Sleep.Result.LEASE_LOST, f'{error}; everything is as before') from error
            if answer.error_code:
                raise _NightEndedError(Sleep.Result.LEASE_LOST, f'{answer.error_msg}; everything is as before')
            cortex.keep(night, goal, data, datetime.now())
        self._save(cortex, data)

    def _save(self, cortex: Cortex, waking: bytes) -> None:
        if cortex.save_is_due:
            try:
                self._worker.show_phase('saving')
                cortex.save(waking, datetime.now())
            except OSError as error:
                # The journal keeps the sleep all the same.
                self._log.error(f'not saved: {error}')
