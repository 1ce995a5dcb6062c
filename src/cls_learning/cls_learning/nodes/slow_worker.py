"""Worker thread of slow_learner: only it, and the thread that it waits for, modify consolidator and model folder."""

from collections.abc import Callable
import contextlib
from datetime import datetime
import threading
import time
import traceback

from rclpy.node import Node

from cls_common.errors import UserError
from cls_common.transition import Experience

from ..node_settings import SlowNodeSettings
from ..runtime.experience_intake import ExperienceIntake
from ..runtime.handover import Handover
from ..runtime.job_queue import JobQueue
from ..runtime.learner_link import NoAnswerError
from ..runtime.learner_session import LearnerSession
from .fast_link import FastLink
from .jobs import AWAKE, Job, SaveJob, SAVING, SleepJob, WAITING, WorkerStatus
from .sleep_runner import SleepRunner

SYNC_PERIOD = 0.5
# At the end fast_learner does not act for `_HOLD` s, within which it ends too or is taken over by a successor.
_HOLD = 5.0
_END_PATIENCE, _ASK_AGAIN = 20.0, 0.05


class SlowWorker:
    """Owns the LearnerSession; callbacks only put experiences and jobs into its queue.

    Sleep and saving run in this thread at the priority of the process: the robot rests then, and a niced sleep never
    ends on a busy machine. Learning awake is niced (see ExperienceIntake).

    Args:
        open_session: called first, in the thread.
        stopping: set when the end is requested.

    Attributes:
        status: what it is doing. error: what ended the thread, None before. session: None before it is open.
        is_ready: fast_learner has the weights of this model.
        reported: sequence of the last experience of this run that fast_learner has reported.
    """

    def __init__(
        self, node: Node, link: FastLink, settings: SlowNodeSettings, open_session: Callable[[], LearnerSession],
        stopping: threading.Event,
    ) -> None:  # fmt: skip
        self._node, self._log = node, node.get_logger()
        self._link = link
        self._settings = settings
        self._open_session = open_session
        self._jobs = JobQueue()
        self._reload = threading.Event()
        self._stopping, self._abort = stopping, threading.Event()
        self._synced = 0.0
        self._is_closed = False
        self._intake: ExperienceIntake | None = None
        self.session: LearnerSession | None = None
        self.is_ready = False
        self.status = WorkerStatus()
        self.reported = 0
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._run, name='slow_worker')
        self._thread.start()

    @property
    def steps(self) -> int:
        """Experiences learned since the start."""
        return self._intake.learned if self._intake else 0

    @property
    def dropped(self) -> int:
        """Experiences that found the queue full, or were missing at the end."""
        return self._jobs.dropped + (self._intake.lost if self._intake else 0)

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def put(self, job: Experience | Job) -> None:
        """Queues a job, or an experience, which is written to the journal at once and learned in its turn."""
        if isinstance(job, Experience) and self.session is not None:
            # A full disk is reported when the experience is learned.
            with contextlib.suppress(OSError), self.session.writing:
                if not self._is_closed:
                    self.session.write_down(job)
        self._jobs.put(job)

    def wait(self, job: Job) -> bool:
        """Waits until a job is done; returns False where the thread ended without it."""
        while not job.done.wait(0.5) and not self.is_over:
            pass
        return job.done.is_set()

    def reload_fast(self) -> None:
        """Requests a new handover, since fast_learner has no weights."""
        self._reload.set()

    def begin_end(self) -> None:
        """Ends the thread after the current job, as soon as the journal has every experience of fast_learner.

        A sleep under way is rolled back. The node must be spun until `is_over`, to receive messages and answers.
        """
        self._stopping.set()

    def stop(self) -> None:
        """Ends the thread after the current job; the journal keeps what was received."""
        self._abort.set()
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.session = session = self._open_session()
            for problem in session.problems:
                self._log.error(f'went back one generation: {problem}')
            self._work(session)
        except UserError as error:
            if not self._stopping.is_set():
                self.error = error
        except Exception:
            self._log.fatal(traceback.format_exc())
            self.error = UserError('slow_learner stopped', found='the error above')
        finally:
            if self._intake is not None:
                self._intake.close()
            if self.session is not None:
                with self.session.writing:
                    self._is_closed = True
                    self.session.folder.close(keep_unlearned=False)

    def _work(self, session: LearnerSession) -> None:
        intake = ExperienceIntake(session, self._link, self._jobs, self._log, datetime.now, self._settings.nice)
        handover = Handover(session, intake, self._link, self._log, datetime.now)
        sleeps = SleepRunner(
            self._node, self._link, self._settings.lease, session, intake, self.status, self._stopping
        )  # fmt: skip
        self._intake = intake
        while not self._stopping.is_set():
            if not self.is_ready or self._reload.is_set():
                self._connect(handover)
            job = self._jobs.take(object, timeout=0.05)
            if isinstance(job, Experience):
                intake.learn(job)
            elif isinstance(job, SleepJob):
                sleeps.sleep(job)
            elif isinstance(job, SaveJob):
                self._save(handover, job)
            if time.monotonic() - self._synced > SYNC_PERIOD:
                self._synced = time.monotonic()
                session.folder.sync()
        if self.is_ready:
            self._write_down_rest(session, intake)
        intake.write_down_queued()
        while (left := self._jobs.take(Job)) is not None:
            left.done.set()

    def _connect(self, handover: Handover) -> None:
        self._reload.clear()
        try:
            handover.connect()
            self.is_ready = True
            self.status.progress = AWAKE
        except NoAnswerError:
            self.is_ready = False
            self.status.progress = WAITING

    def _write_down_rest(self, session: LearnerSession, intake: ExperienceIntake) -> None:
        """Requests experiences until fast_learner, which does not act meanwhile, says that no further one will come."""
        until = time.monotonic() + _END_PATIENCE
        is_complete = False
        while not is_complete and time.monotonic() < until and not self._abort.wait(_ASK_AGAIN):
            try:
                is_complete = intake.write_down_rest(self._link.get_experiences(session.written, hold=_HOLD))
            except NoAnswerError as error:
                # It ends as soon as everything is written down, perhaps before this request.
                if session.written < self.reported:
                    self._log.warning(f'experiences after {session.written} may be lost: {error}')
                return

    def _save(self, handover: Handover, job: SaveJob) -> None:
        self.status.progress = SAVING
        try:
            job.message = f'generation {handover.save()}'
            job.success = True
        except (UserError, OSError) as error:
            job.message = str(error)
            self._log.error(f'not saved: {error}')
        finally:
            self.status.progress = AWAKE
            job.done.set()
