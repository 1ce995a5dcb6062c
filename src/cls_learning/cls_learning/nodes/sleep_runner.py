"""One sleep over the network: fast_learner sleeps, the phases run, it wakes with new weights or its old ones."""

from datetime import datetime
import threading
import time
from types import TracebackType
import uuid

from rclpy.node import Node

from cls_common.errors import UserError
from cls_interfaces.action import Sleep

from .. import state_bytes
from ..brain import Goal, SleepRun
from ..runtime.experience_intake import ExperienceIntake
from ..runtime.learner_link import NoAnswerError
from ..runtime.learner_session import LearnerSession
from .fast_link import FastLink
from .jobs import AWAKE, SAVING, SleepJob, WorkerStatus

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
    """Runs sleeps in the worker's thread.

    Args:
        status: is kept up to date.
        stopping: set when the end of the node is requested.
    """

    def __init__(
        self, node: Node, link: FastLink, lease: float, session: LearnerSession, intake: ExperienceIntake,
        status: WorkerStatus, stopping: threading.Event,
    ) -> None:  # fmt: skip
        self._log = node.get_logger()
        self._link = link
        self._lease = lease
        self._session = session
        self._intake = intake
        self._status = status
        self._stopping = stopping

    def sleep(self, job: SleepJob) -> None:
        """Runs one sleep and keeps it, or rolls it back; the job reports the outcome."""
        started = time.monotonic()
        sleep_id = uuid.uuid4().hex
        is_asleep, online = False, b''
        try:
            state = self._link.begin_sleep(sleep_id, self._lease)
            online = state.data
            is_asleep = True
            with _LeaseKeeper(self._link, sleep_id, self._lease) as lease:
                self._intake.learn_up_to(state.sequence)
                self._run(job, sleep_id, online, started, lease.lost)
            is_asleep = False
            job.code, job.message = Sleep.Result.NONE, job.statistics.text()
        except _SleepEndedError as ended:
            job.code, job.message = ended.code, str(ended)
        except UserError as error:
            job.code, job.message = Sleep.Result.NO_FAST_LEARNER, str(error)
        finally:
            self._status.progress = AWAKE
            job.duration = time.monotonic() - started
            self._status.last_sleep = job.summary()
            self._log.info(job.summary())
            job.done.set()
        if is_asleep:
            # After the answer, so that a client that cancelled does not wait for this too.
            self._wake_with_old(sleep_id)
        if job.verdict.rolled_back:
            # Otherwise the count of such sleeps would be lost with the next crash.
            self._save(online)
            self._status.progress = AWAKE

    def _wake_with_old(self, sleep_id: str) -> None:
        try:
            self._link.end_sleep(sleep_id, None, patience=2.0)
        except NoAnswerError as error:
            # Its lease runs out by itself.
            self._log.warning(str(error))

    def _run(self, job: SleepJob, sleep_id: str, online: bytes, started: float, lost: threading.Event) -> None:
        session = self._session
        run = session.begin_sleep(online, job.goal)
        job.statistics = run.statistics
        try:
            for progress in run.run():
                self._status.progress = progress
                job.feedback(progress)
                self._check(job, lost, time.monotonic() - started)
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
            self._keep(run, job.goal, sleep_id, data)
        except _SleepEndedError:
            session.roll_back(run, datetime.now())
            raise

    def _check(self, job: SleepJob, lost: threading.Event, duration: float) -> None:
        if job.is_cancelled() or self._stopping.is_set():
            raise _SleepEndedError(Sleep.Result.CANCELLED, 'cancelled; everything is as before')
        if lost.is_set():
            raise _SleepEndedError(Sleep.Result.LEASE_LOST, 'fast_learner woke by itself; everything is as before')
        limit = self._session.consolidator.max_duration
        if duration > limit:
            raise _SleepEndedError(Sleep.Result.TIME_LIMIT, f'longer than {limit:g} s; everything is as before')

    def _keep(self, run: SleepRun, goal: Goal, sleep_id: str, data: bytes) -> None:
        session = self._session
        with session.writing:
            session.announce(goal)
            try:
                answer = self._link.end_sleep(sleep_id, data)
            except NoAnswerError as error:
                raise _SleepEndedError(Sleep.Result.LEASE_LOST, f'{error}; everything is as before') from error
            if answer.error_code:
                raise _SleepEndedError(Sleep.Result.LEASE_LOST, f'{answer.error_msg}; everything is as before')
            session.keep(run, goal, data, datetime.now())
        self._save(data)

    def _save(self, online: bytes) -> None:
        if self._session.save_is_due:
            try:
                self._status.progress = SAVING
                self._session.save(online, datetime.now())
            except OSError as error:
                # The journal keeps the sleep all the same.
                self._log.error(f'not saved: {error}')
