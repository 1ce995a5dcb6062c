"""Worker thread of slow_learner: it and the thread that it waits for alone modify consolidator and model folder."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import contextlib
from datetime import datetime
import queue
import threading
import time
import traceback

from rclpy.node import Node

from cls_common.errors import UserError
from cls_common.niceness import give_way
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
# At the end fast_learner acts no more for `_HOLD` s, in which it ends too or a successor takes over from it.
_HOLD = 5.0
_END_PATIENCE, _ASK_AGAIN = 20.0, 0.05


class SlowWorker:
    """Owns the Cortex; callbacks only put jobs into its queue.

    Awake, learning runs in a niced thread, since the control loop comes first. Sleep and saving run in this one, at
    the priority of the process: the robot rests then, and a niced sleep never ends on a busy machine.

    Attributes:
        phase: as in the status, with `step` of `steps` of a phase of sleep. error: what ended it, None before.
        dropped: experiences that found the queue full, or were missing at the end.
        last_sleep: how the last sleep ended, for people.
        reported: sequence of the last experience of this run that fast_learner has reported.
    """

    def __init__(self, node: Node, link: FastLink, lease: float, nice: int, open_cortex: Callable[[], Cortex]) -> None:
        self._log = node.get_logger()
        self._link = link
        self._nights = NightRunner(node, link, lease, self)
        self._open_cortex = open_cortex
        self._jobs: queue.Queue[Experience | SleepJob | SaveJob | None] = queue.Queue(QUEUE)
        self._reload = threading.Event()
        self._stop, self._abort = threading.Event(), threading.Event()
        self._synced = 0.0
        self._is_closed = False
        self._awake = ThreadPoolExecutor(1, 'awake', initializer=give_way, initargs=(nice,))
        self.cortex: Cortex | None = None
        self.is_ready = False
        self.phase, self.step, self.steps_of_phase = 'waiting', 0, 0
        self.last_sleep = ''
        self.reported = 0
        self.dropped = 0
        self.steps = 0
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._run, name='slow_worker')
        self._thread.start()

    def show_phase(self, phase: str, step: int = 0, steps: int = 0) -> None:
        """Sets what the status shows: a phase, and for those of sleep `step` of `steps`."""
        self.phase, self.step, self.steps_of_phase = phase, step, steps

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
            # A full disk is reported when the experience is learned.
            with contextlib.suppress(OSError), self.cortex.writing:
                if not self._is_closed:
                    self.cortex.write_down(job)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def reload_fast(self) -> None:
        """Says that fast_learner has no weights."""
        self._reload.set()

    def begin_end(self) -> None:
        """Ends the thread after the job in hand, as soon as the journal has every experience of fast_learner.

        A sleep under way is undone. The node must be spun until `is_over`: messages and answers still come.
        """
        self._stop.set()

    def stop(self) -> None:
        """Ends the thread after the job in hand; the journal keeps what was heard."""
        self._abort.set()
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.cortex = self._open_cortex()
            for problem in self.cortex.problems:
                self._log.error(f'went back one generation: {problem}')
            while not self._stop.is_set():
                self._turn()
            self._hear_the_rest()
        except UserError as error:
            if not self._stop.is_set():
                self.error = error
        except Exception:
            self._log.fatal(traceback.format_exc())
            self.error = UserError('slow_learner stopped', found='the error above')
        finally:
            self._awake.shutdown()
            if self.cortex is not None:
                with self.cortex.writing:
                    self._is_closed = True
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

    def _hear_the_rest(self) -> None:
        """Puts every experience of fast_learner into the journal, from which the next start learns it.

        fast_learner acts no more meanwhile, and is asked until it says that no further experience will come.
        """
        assert self.cortex is not None
        until = time.monotonic() + _END_PATIENCE
        is_whole = not self.is_ready
        while not is_whole and time.monotonic() < until and not self._abort.wait(_ASK_AGAIN):
            try:
                answer = self._link.get_experiences(self.cortex.written, hold=_HOLD)
            except NoAnswerError as error:
                # It ends as soon as everything is written down, perhaps before it is asked.
                if self.cortex.written < self.reported:
                    self._log.warning(f'experiences after {self.cortex.written} may be lost: {error}')
                break
            if answer.run_id not in ('', self.cortex.run_id):
                break
            missing = max(answer.oldest - self.cortex.written - 1, 0) if answer.experiences else 0
            if missing:
                self.dropped += missing
                self._log.error(f'{missing} experiences after {self.cortex.written} are lost')
            for message in answer.experiences:
                self.cortex.write_down(from_experience_message(message), is_last_chance=True)
            is_whole = answer.settled and answer.newest <= self.cortex.written and not answer.experiences
        self._let_go()

    def _let_go(self) -> None:
        """Writes down what still waits in the queue, and answers the jobs that will not be done."""
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
            self.show_phase('wake')
        except NoAnswerError:
            self.show_phase('waiting')
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
        self._awake.submit(self.cortex.learn, experience, datetime.now()).result()
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
        self.show_phase('saving')
        try:
            job.message = f'generation {self._save_cut()}'
            job.success = True
        except (UserError, OSError) as error:
            job.message = str(error)
            self._log.error(f'not saved: {error}')
        finally:
            self.show_phase('wake')
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
