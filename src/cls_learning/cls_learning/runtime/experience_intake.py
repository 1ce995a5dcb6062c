"""Takes experiences into a session in order: queued ones, and those that were missed and are requested again. Pure."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

from cls_common.niceness import give_way
from cls_common.transition import Experience

from .job_queue import JobQueue
from .learner_link import LearnerLink, NoAnswerError, SentExperiences
from .learner_session import LearnerSession


class Log(Protocol):
    """The logger of a node, or one of the standard library."""

    def info(self, text: str, /) -> object: ...
    def warning(self, text: str, /) -> object: ...
    def error(self, text: str, /) -> object: ...


class ExperienceIntake:
    """Learns experiences one after the other; a missing one is requested before a later one is learned.

    Attributes:
        learned: experiences learned since the start. lost: that were missing at the end.

    Args:
        now: wall clock, for training.log.
        nice: niceness of the thread in which queued experiences are learned, since the control loop comes first.
    """

    def __init__(
        self, session: LearnerSession, link: LearnerLink, jobs: JobQueue, log: Log, now: Callable[[], datetime],
        nice: int = 0,
    ) -> None:  # fmt: skip
        self._session = session
        self._link = link
        self._jobs = jobs
        self._log = log
        self._now = now
        self._thread = ThreadPoolExecutor(1, 'awake', initializer=give_way, initargs=(nice,))
        self.learned = self.lost = 0

    def learn(self, experience: Experience) -> None:
        """Learns an experience, after those that are missing before it as far as they are still held."""
        session = self._session
        if experience.sequence > session.sequence + 1 and session.sequence > 0:
            try:
                self.fetch(experience.sequence - 1)
            except NoAnswerError as error:
                self._log.warning(f'experiences up to {experience.sequence - 1} are lost: {error}')
        before = session.sequence
        self._thread.submit(session.learn, experience, self._now()).result()
        self.learned += session.sequence > before

    def learn_waiting(self) -> None:
        """Learns the experiences that are in the queue."""
        while (experience := self._jobs.take(Experience)) is not None:
            self.learn(experience)

    def learn_up_to(self, sequence: int, patience: float = 5.0) -> None:
        """Learns every experience up to `sequence`: they arrive on another channel than the answer that names it.

        Requests what is missing after `patience` s without an experience.
        """
        while self._session.sequence < sequence:
            experience = self._jobs.take(Experience, patience)
            if experience is None:
                break
            self.learn(experience)
        self.fetch(sequence)

    def fetch(self, up_to: int) -> None:
        """Requests and learns missed experiences up to a sequence, until one is no longer held."""
        session = self._session
        while (before := session.sequence) < up_to:
            for experience in self._link.get_experiences(before).experiences:
                if experience.sequence == session.sequence + 1 <= up_to:
                    session.learn(experience, self._now())
            if session.sequence == before:
                return
            self.learned += session.sequence - before

    def write_down_rest(self, answer: SentExperiences) -> bool:
        """Writes experiences to the journal at the end, without learning them; the next start learns them.

        Returns:
            whether the journal is complete: no further experience of this run will come.
        """
        session = self._session
        if answer.run_id not in ('', session.run_id):
            return True
        missing = max(answer.oldest - session.written - 1, 0) if answer.experiences else 0
        if missing:
            self.lost += missing
            self._log.error(f'{missing} experiences after {session.written} are lost')
        for experience in answer.experiences:
            session.write_down(experience, is_last_chance=True)
        return answer.settled and answer.newest <= session.written and not answer.experiences

    def write_down_queued(self) -> None:
        """Writes the experiences that are in the queue to the journal, without learning them."""
        while (experience := self._jobs.take(Experience)) is not None:
            self._session.write_down(experience, is_last_chance=True)

    def close(self) -> None:
        """Ends the learning thread."""
        self._thread.shutdown()
