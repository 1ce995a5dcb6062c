"""One sleep over the network: fast_learner sleeps, the phases run, it wakes with new weights or its old ones."""

from datetime import datetime
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING
import uuid

from rclpy.node import Node

from cls_common.errors import UserError
from cls_interfaces.action import Sleep

from .. import state_bytes
from ..brain import Goal, SleepRun
from ..runtime.learner_session import LearnerSession
from .fast_link import FastLink, NoAnswerError
from .jobs import SleepJob

if TYPE_CHECKING:
    from .slow_worker import SlowWorker

RENEW_PERIOD = 0.5


class _SleepEndedError(Exception):
    """A sleep ends here: with which code and why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _LeaseKeeper:
    """Renews the lease of one sleep from a thread of its own, however long the training thread computes.

    Attributes:
        lost: set when fast_learner reports that it has woken by itself.
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


class SleepRunner:
    """Runs sleeps for the worker, in its thread."""

    def __init__(self, node: Node, link: FastLink, lease: float, worker: 'SlowWorker') -> None:
        self._log = node.get_logger()
        self._link = link
        self._lease = lease
        self._worker = worker

    def sleep(self, session: LearnerSession, job: SleepJob) -> None:
        """Runs one sleep and keeps it, or undoes it; the job reports the outcome."""
        started = time.monotonic()
        sleep_id = uuid.uuid4().hex
        is_asleep, online = False, b''
        try:
            state = self._link.begin_sleep(sleep_id, self._lease)
            online = bytes(state.state)
            is_asleep = True
            with _LeaseKeeper(self._link, sleep_id, self._lease) as lease:
                self._worker.learn_up_to(state.sequence)
                self._run(session, job, sleep_id, online, started, lease.lost)
            is_asleep = False
            job.code, job.message = Sleep.Result.NONE, job.statistics.text()
        except _SleepEndedError as ended:
            job.code, job.message = ended.code, str(ended)
        except UserError as error:
            job.code, job.message = Sleep.Result.NO_FAST_LEARNER, str(error)
        finally:
            self._worker.show_phase('wake')
            job.duration = time.monotonic() - started
            self._worker.last_sleep = job.summary()
            self._log.info(job.summary())
            job.done.set()
        if is_asleep:
            # After the answer, so that a client that cancelled does not wait for this too.
            self._wake_with_old(sleep_id)
        if job.verdict.rolled_back:
            # Otherwise the count of such sleeps would be lost with the next crash.
            self._save(session, online)
            self._worker.show_phase('wake')

    def _wake_with_old(self, sleep_id: str) -> None:
        try:
            self._link.end_sleep(sleep_id, None, patience=2.0)
        except NoAnswerError as error:
            # Its lease runs out by itself.
            self._log.warning(str(error))

    def _run(
        self,
        session: LearnerSession,
        job: SleepJob,
        sleep_id: str,
        online: bytes,
        started: float,
        lost: threading.Event,
    ) -> None:
        run = session.begin_sleep(online, job.goal)
        job.statistics = run.statistics
        try:
            for progress in run.run():
                self._worker.show_phase(progress.phase, progress.step, progress.steps)
                job.feedback(progress)
                self._check(session, job, lost, time.monotonic() - started)
            if run.diverged:
                raise _SleepEndedError(
                    Sleep.Result.DIVERGED, 'loss or gradient was not finite; everything is as before'
                )
            if not any(run.statistics.steps.values()):
                raise _SleepEndedError(Sleep.Result.EMPTY_MEMORY, run.statistics.text())
            data = state_bytes.pack(run.finish())
            job.verdict = run.verdict
            if run.verdict.rolled_back:
                found = f'harm: {run.verdict.text}; everything is as before'
                self._log.warning(f'sleep rolled back, {found}')
                raise _SleepEndedError(Sleep.Result.GATE_ROLLED_BACK, found)
            self._keep(session, run, job.goal, sleep_id, data)
        except _SleepEndedError:
            session.roll_back(run, datetime.now())
            raise

    def _check(self, session: LearnerSession, job: SleepJob, lost: threading.Event, duration: float) -> None:
        if job.is_cancelled() or self._worker.is_stopping:
            raise _SleepEndedError(Sleep.Result.CANCELLED, 'cancelled; everything is as before')
        if lost.is_set():
            raise _SleepEndedError(Sleep.Result.LEASE_LOST, 'fast_learner woke by itself; everything is as before')
        limit = session.consolidator.max_duration
        if duration > limit:
            raise _SleepEndedError(Sleep.Result.TIME_LIMIT, f'longer than {limit:g} s; everything is as before')

    def _keep(self, session: LearnerSession, run: SleepRun, goal: Goal, sleep_id: str, data: bytes) -> None:
        with session.writing:
            session.announce(goal)
            try:
                answer = self._link.end_sleep(sleep_id, data)
            except NoAnswerError as error:
                raise _SleepEndedError(Sleep.Result.LEASE_LOST, f'{error}; everything is as before') from error
            if answer.error_code:
                raise _SleepEndedError(Sleep.Result.LEASE_LOST, f'{answer.error_msg}; everything is as before')
            session.keep(run, goal, data, datetime.now())
        self._save(session, data)

    def _save(self, session: LearnerSession, online: bytes) -> None:
        if session.save_is_due:
            try:
                self._worker.show_phase('saving')
                session.save(online, datetime.now())
            except OSError as error:
                # The journal keeps the sleep all the same.
                self._log.error(f'not saved: {error}')
