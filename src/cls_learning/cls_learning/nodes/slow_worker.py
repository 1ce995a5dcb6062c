"""The thread in which slow_learner thinks: every change of the sleeping half and its folder happens here, in order."""

from collections.abc import Callable
import contextlib
from datetime import datetime
import queue
import threading
import time
import traceback

from rclpy.node import Node

from cls_common.errors import UserError
from cls_common.nodes.conversions import to_bytes
from cls_interfaces.srv import GetState, LoadState

from ..agent.cortex import Cortex
from ..agent.waking import cycles_of
from ..checkpoints import blob
from ..types import Experience
from .fast_link import FastLink, NoAnswerError
from .jobs import SaveJob, SleepJob
from .messages import from_experience_message, to_experience_message
from .night_runner import NightRunner

QUEUE = 10_000
SYNC_PERIOD = 0.5


class SlowWorker:
    """Owns the Cortex; everybody else only puts jobs into its queue.

    Attributes:
        phase: as in the status. error: what ended it, None while it lives.
        dropped: experiences that found the queue full.
    """

    def __init__(self, node: Node, link: FastLink, lease: float, open_cortex: Callable[[], Cortex]) -> None:
        self._log = node.get_logger()
        self._link = link
        self._nights = NightRunner(node, link, lease, self)
        self._open_cortex = open_cortex
        self._jobs: queue.Queue[Experience | SleepJob | SaveJob | None] = queue.Queue(QUEUE)
        self._reload = threading.Event()
        self._stop = threading.Event()
        self._synced = 0.0
        self.cortex: Cortex | None = None
        self.is_ready = False
        self.phase = 'waiting'
        self.dropped = 0
        self.steps = 0
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._run, name='slow_worker')
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether no job is done any more."""
        return not self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stop.is_set()

    def put(self, job: Experience | SleepJob | SaveJob) -> None:
        """Hands over a job; a full queue drops it and counts. Experiences are safe at once, learned in their turn."""
        if isinstance(job, Experience) and self.cortex is not None:
            with contextlib.suppress(OSError):  # the disk is full: it is said when its turn comes
                self.cortex.write_down(job)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def reload_fast(self) -> None:
        """Says that fast_learner has no weights."""
        self._reload.set()

    def stop(self) -> None:
        """Ends the thread after the job in hand; the journal keeps what was not saved."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.cortex = self._open_cortex()
            for problem in self.cortex.problems:
                self._log.error(f'went back one generation: {problem}')
            while not self._stop.is_set():
                self._turn()
            self._write_down_rest()
        except UserError as error:
            if not self._stop.is_set():
                self.error = error
        except Exception:
            self._log.fatal(traceback.format_exc())
            self.error = UserError('slow_learner stopped', found='the error above')
        finally:
            if self.cortex is not None:
                self.cortex.folder.close(keep_unlearned=False)

    def _turn(self) -> None:
        assert self.cortex is not None
        if not self.is_ready or self._reload.is_set():
            self._connect()
        try:
            job = self._jobs.get(timeout=0.05)
        except queue.Empty:
            job = None
        if isinstance(job, Experience):
            self._learn(job)
        elif isinstance(job, SleepJob):
            self._nights.sleep(self.cortex, job)
        elif isinstance(job, SaveJob):
            self._save(job)
        if time.monotonic() - self._synced > SYNC_PERIOD:
            self._synced = time.monotonic()
            self.cortex.folder.sync()

    def _write_down_rest(self) -> None:
        """Puts what still waits into the journal, from which the next start learns it; whoever waits is let go."""
        assert self.cortex is not None
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if isinstance(job, SleepJob | SaveJob):
                job.done.set()
            elif job is not None:
                self.cortex.write_down(job, is_last_chance=True)

    def _connect(self) -> None:
        """Gives Fast its half, or takes over a Fast that lived on without us."""
        assert self.cortex is not None
        self._reload.clear()
        try:
            state = self._link.get_state(patience=2.0)
            is_ours = state.loaded and state.model == self.cortex.folder.path.name
            if is_ours and state.sequence >= self.cortex.sequence and state.sequence > 0:
                self._take_over(state)
            else:
                self._load_fast()
            self.is_ready = True
            self.phase = 'wake'
        except NoAnswerError:
            self.phase = 'waiting'
            self.is_ready = False

    def _take_over(self, state: GetState.Response) -> None:
        """Goes on with a Fast that lived on: learns what was missed; only what Fast has forgotten is a gap."""
        assert self.cortex is not None
        waking = bytes(state.state)
        cycles = cycles_of(waking)
        if self.cortex.pending is not None and cycles == self.cortex.cycles + 1:
            self._log.info('the night before was kept: sleeping it again')
            self.cortex.keep_pending(datetime.now())
        self.cortex.pending = None
        self._fetch(state.sequence)
        if self.cortex.sequence < state.sequence or self.cortex.cycles != cycles:
            self.cortex.adopt(waking, state.sequence, state.run_id, datetime.now())
        self.cortex.run_id = state.run_id
        self._log.info(f'took over fast_learner at step {state.sequence}')

    def _fetch(self, up_to: int) -> None:
        """Learns the experiences up to a sequence that were never heard, as far as Fast still holds them unbroken."""
        assert self.cortex is not None
        while self.cortex.sequence < up_to:
            before = self.cortex.sequence
            answer = self._link.get_experiences(before)
            for message in answer.experiences:
                experience = from_experience_message(message)
                if experience.sequence == self.cortex.sequence + 1 <= up_to:
                    self.cortex.learn(experience, datetime.now())
            if self.cortex.sequence == before:
                return
            self.steps += self.cortex.sequence - before

    def _load_fast(self) -> None:
        assert self.cortex is not None
        self.cortex.pending = None
        # What the Fast before it lived is learned first: a new one must not live the same steps otherwise.
        self._learn_waiting()
        last = self.cortex.last
        # In lock-step the world waits for the very action that was due, and that was chosen before the last step was
        # learned.
        data = self.cortex.rebuild_waking(without_last=self.cortex.config.robot.lock_step)
        request = LoadState.Request(
            run_id=self.cortex.run_id, model=self.cortex.folder.path.name, config=self.cortex.config.to_json(),
            state=to_bytes(data), sha256=blob.sha256(data),
            last=[] if last is None else [to_experience_message(last, self.cortex.run_id, '', 0)],
        )  # fmt: skip
        answer = self._link.load_state(request)
        if not answer.success:
            raise UserError('fast_learner refuses the model', found=answer.message)

    def _learn(self, experience: Experience) -> None:
        assert self.cortex is not None
        if experience.sequence > self.cortex.sequence + 1 and self.cortex.sequence > 0:
            try:
                self._fetch(experience.sequence - 1)
            except NoAnswerError as error:
                self._log.warning(f'experiences up to {experience.sequence - 1} are lost: {error}')
        before = self.cortex.sequence
        self.cortex.learn(experience, datetime.now())
        self.steps += self.cortex.sequence > before

    def _learn_waiting(self) -> None:
        later: list[SleepJob | SaveJob] = []
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if isinstance(job, Experience):
                self._learn(job)
            elif job is not None:
                later.append(job)
        for other in later:
            self.put(other)

    def learn_up_to(self, sequence: int, patience: float = 5.0) -> None:
        """Finishes every experience up to `sequence`: they come by another way than the answer that names it.

        Gives up where none came for `patience` s and Fast no longer has them.
        """
        assert self.cortex is not None
        until = time.monotonic() + patience
        later: list[SleepJob | SaveJob] = []
        while self.cortex.sequence < sequence and time.monotonic() < until:
            try:
                job = self._jobs.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(job, Experience):
                self._learn(job)
                until = time.monotonic() + patience
            elif job is not None:
                later.append(job)
        for job in later:
            self.put(job)
        self._fetch(sequence)

    def _save(self, job: SaveJob) -> None:
        try:
            job.message = f'generation {self._save_cut()}'
            job.success = True
        except (UserError, OSError) as error:
            job.message = str(error)
            self._log.error(f'not saved: {error}')
        finally:
            job.done.set()

    def _save_cut(self) -> int:
        assert self.cortex is not None
        state = self._link.get_state()
        if not state.loaded:
            raise UserError('fast_learner', expected='weights to save', found='none yet')
        self.learn_up_to(state.sequence)
        if self.cortex.sequence != state.sequence:
            raise UserError('a consistent cut', expected=f'step {state.sequence}', found=f'step {self.cortex.sequence}')
        return self.cortex.save(bytes(state.state), datetime.now())
