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
from cls_common.experience_codec import from_message
from cls_common.niceness import give_way
from cls_common.nodes.conversions import to_bytes
from cls_common.nodes.experience_messages import to_experience_message
from cls_common.transition import Experience
from cls_interfaces.msg import Experience as ExperienceMessage
from cls_interfaces.srv import GetState, LoadState

from .. import state_bytes
from ..runtime.learner_session import cycles_of, LearnerSession
from .fast_link import FastLink, NoAnswerError
from .jobs import SaveJob, SleepJob
from .sleep_runner import SleepRunner

QUEUE = 10_000
SYNC_PERIOD = 0.5
# At the end fast_learner acts no more for `_HOLD` s, in which it ends too or a successor takes over from it.
_HOLD = 5.0
_END_PATIENCE, _ASK_AGAIN = 20.0, 0.05


class SlowWorker:
    """Owns the LearnerSession; callbacks only put jobs into its queue.

    Awake, learning runs in a niced thread, since the control loop comes first. Sleep and saving run in this one, at
    the priority of the process: the robot rests then, and a niced sleep never ends on a busy machine.

    Attributes:
        phase: as in the status, with `step` of `steps` of a phase of sleep. error: what ended it, None before.
        dropped: experiences that found the queue full, or were missing at the end.
        last_sleep: how the last sleep ended, for people.
        reported: sequence of the last experience of this run that fast_learner has reported.
    """

    def __init__(
        self, node: Node, link: FastLink, lease: float, nice: int, open_session: Callable[[], LearnerSession]
    ) -> None:
        self._log = node.get_logger()
        self._link = link
        self._sleeps = SleepRunner(node, link, lease, self)
        self._open_session = open_session
        self._jobs: queue.Queue[Experience | SleepJob | SaveJob | None] = queue.Queue(QUEUE)
        self._reload = threading.Event()
        self._stop, self._abort = threading.Event(), threading.Event()
        self._synced = 0.0
        self._is_closed = False
        self._awake = ThreadPoolExecutor(1, 'awake', initializer=give_way, initargs=(nice,))
        self.session: LearnerSession | None = None
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
    def is_asleep(self) -> bool:
        """Whether a phase of sleep is under way."""
        return self.steps_of_phase > 0

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
        if isinstance(job, Experience) and self.session is not None:
            # A full disk is reported when the experience is learned.
            with contextlib.suppress(OSError), self.session.writing:
                if not self._is_closed:
                    self.session.write_down(job)
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
            self.session = self._open_session()
            for problem in self.session.problems:
                self._log.error(f'went back one generation: {problem}')
            while not self._stop.is_set():
                self._turn()
            self._receive_the_rest()
        except UserError as error:
            if not self._stop.is_set():
                self.error = error
        except Exception:
            self._log.fatal(traceback.format_exc())
            self.error = UserError('slow_learner stopped', found='the error above')
        finally:
            self._awake.shutdown()
            if self.session is not None:
                with self.session.writing:
                    self._is_closed = True
                    self.session.folder.close(keep_unlearned=False)

    def _turn(self) -> None:
        assert self.session is not None
        if not self.is_ready or self._reload.is_set():
            self._connect()
        try:
            job = self._jobs.get(timeout=0.05)
        except queue.Empty:
            job = None
        if isinstance(job, Experience):
            self._learn(job)
        elif isinstance(job, SleepJob):
            self._sleeps.sleep(self.session, job)
        elif isinstance(job, SaveJob):
            self._save(job)
        if time.monotonic() - self._synced > SYNC_PERIOD:
            self._synced = time.monotonic()
            self.session.folder.sync()

    def _receive_the_rest(self) -> None:
        """Puts every experience of fast_learner into the journal, from which the next start learns it.

        fast_learner acts no more meanwhile, and is asked until it says that no further experience will come.
        """
        assert self.session is not None
        until = time.monotonic() + _END_PATIENCE
        is_whole = not self.is_ready
        while not is_whole and time.monotonic() < until and not self._abort.wait(_ASK_AGAIN):
            try:
                answer = self._link.get_experiences(self.session.written, hold=_HOLD)
            except NoAnswerError as error:
                # It ends as soon as everything is written down, perhaps before it is asked.
                if self.session.written < self.reported:
                    self._log.warning(f'experiences after {self.session.written} may be lost: {error}')
                break
            if answer.run_id not in ('', self.session.run_id):
                break
            missing = max(answer.oldest - self.session.written - 1, 0) if answer.experiences else 0
            if missing:
                self.dropped += missing
                self._log.error(f'{missing} experiences after {self.session.written} are lost')
            for message in answer.experiences:
                self.session.write_down(from_message(message), is_last_chance=True)
            is_whole = answer.settled and answer.newest <= self.session.written and not answer.experiences
        self._let_go()

    def _let_go(self) -> None:
        """Writes down what still waits in the queue, and answers the jobs that will not be done."""
        assert self.session is not None
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if isinstance(job, SleepJob | SaveJob):
                job.done.set()
            elif job is not None:
                self.session.write_down(job, is_last_chance=True)

    def _connect(self) -> None:
        """Gives fast_learner its state, or takes over one that went on alone."""
        assert self.session is not None
        self._reload.clear()
        try:
            state = self._link.get_state(patience=2.0)
            is_ours = state.loaded and state.model == self.session.folder.path.name
            if is_ours and state.sequence >= self.session.sequence and state.sequence > 0:
                self._take_over(state)
            else:
                self._load_fast()
            self.is_ready = True
            self.show_phase('wake')
        except NoAnswerError:
            self.show_phase('waiting')
            self.is_ready = False

    def _take_over(self, state: GetState.Response) -> None:
        """Continues with a fast_learner that went on: learns what was missed; only what it no longer holds is a gap."""
        assert self.session is not None
        online = bytes(state.state)
        cycles = cycles_of(online)
        if self.session.pending is not None and cycles == self.session.cycles + 1:
            self._log.info('the last sleep was kept: repeating it')
            self.session.keep_pending(datetime.now())
        self.session.pending = None
        self._fetch(state.sequence)
        if self.session.sequence < state.sequence or self.session.cycles != cycles:
            self.session.adopt(online, state.sequence, state.run_id, datetime.now())
        self.session.run_id = state.run_id
        self._log.info(f'took over fast_learner at step {state.sequence}')

    def _fetch(self, up_to: int) -> None:
        """Learns missed experiences up to a sequence, as far as fast_learner still holds them unbroken."""
        assert self.session is not None
        while self.session.sequence < up_to:
            before = self.session.sequence
            answer = self._link.get_experiences(before)
            for message in answer.experiences:
                experience = from_message(message)
                if experience.sequence == self.session.sequence + 1 <= up_to:
                    self.session.learn(experience, datetime.now())
            if self.session.sequence == before:
                return
            self.steps += self.session.sequence - before

    def _load_fast(self) -> None:
        assert self.session is not None
        self.session.pending = None
        # The steps of the one before are learned first: a new one must not repeat them in another way.
        self._learn_waiting()
        last = self.session.last
        # In lock-step the world waits for the very action that was due, and that was chosen before the last step was
        # learned.
        data = self.session.rebuild_online(without_last=self.session.config.robot.lock_step)
        request = LoadState.Request(
            run_id=self.session.run_id, model=self.session.folder.path.name, config=self.session.config.to_json(),
            state=to_bytes(data), sha256=state_bytes.sha256(data),
            last=[] if last is None else [self._to_message(last)],
        )  # fmt: skip
        answer = self._link.load_state(request)
        if not answer.success:
            raise UserError('fast_learner refuses the model', found=answer.message)

    def _to_message(self, experience: Experience) -> ExperienceMessage:
        assert self.session is not None
        return to_experience_message(experience, self.session.run_id, self.session.brain.name)

    def _learn(self, experience: Experience) -> None:
        assert self.session is not None
        if experience.sequence > self.session.sequence + 1 and self.session.sequence > 0:
            try:
                self._fetch(experience.sequence - 1)
            except NoAnswerError as error:
                self._log.warning(f'experiences up to {experience.sequence - 1} are lost: {error}')
        before = self.session.sequence
        self._awake.submit(self.session.learn, experience, datetime.now()).result()
        self.steps += self.session.sequence > before

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

        Gives up where none came for `patience` s and fast_learner no longer has them.
        """
        assert self.session is not None
        until = time.monotonic() + patience
        later: list[SleepJob | SaveJob] = []
        while self.session.sequence < sequence and time.monotonic() < until:
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
        assert self.session is not None
        state = self._link.get_state()
        if not state.loaded:
            raise UserError('fast_learner', expected='weights to save', found='none yet')
        self.learn_up_to(state.sequence)
        if self.session.sequence != state.sequence:
            raise UserError(
                'a consistent cut', expected=f'step {state.sequence}', found=f'step {self.session.sequence}'
            )
        return self.session.save(bytes(state.state), datetime.now())
