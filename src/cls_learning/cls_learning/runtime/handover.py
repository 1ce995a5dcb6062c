"""Connects a session with the online learner: loads its state there, or takes over one that continued alone. Pure."""

from collections.abc import Callable
from datetime import datetime

from cls_common.errors import UserError

from .experience_intake import ExperienceIntake, Log
from .learner_link import LearnerLink, OnlineState
from .learner_session import cycles_of, LearnerSession


class Handover:
    """Brings a session and the online learner to the same step."""

    def __init__(
        self, session: LearnerSession, intake: ExperienceIntake, link: LearnerLink, log: Log,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._session = session
        self._intake = intake
        self._link = link
        self._log = log
        self._now = now

    def connect(self) -> None:
        """Takes over an online learner of this model, or loads its state into a new one.

        Raises:
            NoAnswerError: none answered. UserError: it refuses the model.
        """
        session, state = self._session, self._link.get_state(patience=2.0)
        is_ours = state.loaded and state.model == session.folder.path.name
        if is_ours and state.sequence >= session.sequence and state.sequence > 0:
            self._take_over(state)
        else:
            self._load()

    def save(self) -> int:
        """Saves both sides at the same step; returns the number of the generation.

        Raises:
            UserError: the online learner has no weights, or experiences up to its step are lost.
            OSError: the disk failed.
        """
        session, state = self._session, self._link.get_state()
        if not state.loaded:
            raise UserError('fast_learner', expected='weights to save', found='none yet')
        self._intake.learn_up_to(state.sequence)
        if session.sequence != state.sequence:
            raise UserError('a consistent cut', expected=f'step {state.sequence}', found=f'step {session.sequence}')
        return session.save(state.data, self._now())

    def _take_over(self, state: OnlineState) -> None:
        """Learns what was missed; only what the online learner no longer holds is a gap."""
        session, cycles = self._session, cycles_of(state.data)
        if session.pending is not None and cycles == session.cycles + 1:
            self._log.info('the last sleep was kept: repeating it')
            session.keep_pending(self._now())
        session.pending = None
        self._intake.fetch(state.sequence)
        if session.sequence < state.sequence or session.cycles != cycles:
            session.adopt(state.data, state.sequence, state.run_id, self._now())
        session.run_id = state.run_id
        self._log.info(f'took over fast_learner at step {state.sequence}')

    def _load(self) -> None:
        session = self._session
        session.pending = None
        # Steps of the previous process are learned first: a new one must not repeat them in another way.
        self._intake.learn_waiting()
        last = session.last
        # In lock-step the simulator waits for the action that was due, which was chosen before the last step was
        # learned.
        data = session.rebuild_online(without_last=session.config.robot.lock_step)
        self._link.load_state(session.run_id, session.folder.path.name, session.config, data, last)
