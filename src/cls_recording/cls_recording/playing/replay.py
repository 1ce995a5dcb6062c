"""A replay as a whole: what goes out next, and what it waits for. Fed by a node with what it hears, in steady time."""

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from cls_common.errors import UserError

from .answers import Answers
from .barrier import Barrier
from .course import Course
from .items import Break, Item
from .learner import Learner
from .reading import MakeInfo
from .settings import PlayerSettings, REUSE
from .sources import Source


class State(IntEnum):
    """Values equal the constants of cls_interfaces/PlayerStatus."""

    WAITING = 0
    PLAYING = 1
    PAUSED = 2
    FINISHED = 3


class Replay:
    """Plays sessions one after the other.

    The next message goes out when its time has come, what went out before it was answered, and the learner is awake.
    Between an action and the image of its result nothing holds it but time: a step half told would be lost.

    Attributes:
        course: the sessions and the place among them.
        is_paused: takes force between steps.
        is_connected: whether the learner hears what is published; a node finds out.
        learner, answers, barrier: what is known of the other side.
        info: description of the robot in force, CDR.
        steps, filtered: actions replayed, and left out by the filter.
    """

    def __init__(self, sources: Sequence[Source], settings: PlayerSettings, make_info: MakeInfo) -> None:
        self._settings = settings
        self._filter = settings.action_filter
        for source in sources:
            if self._filter is not None:
                self._filter.check(source.robot)
            if settings.embeddings == REUSE and not source.encoder_id:
                raise UserError(f'session {source.path}', expected='recorded embeddings', found='none')
        self.course = Course(sources, settings, make_info)
        self.is_paused = settings.paused
        self.is_connected = not settings.with_learner
        self.learner, self.answers = Learner(), Answers(settings.answer_timeout)
        self.barrier = Barrier(settings.answer_timeout)
        self.info = self.course.info
        self.steps = self.filtered = 0
        self._is_finished = self._is_held_up = False
        self._fault = ''
        # Whether no action went out since the chain began.
        self._is_cut = True
        self._newest_ns: int | None = None

    @property
    def state(self) -> State:
        """What the status says."""
        if self._is_finished:
            return State.FINISHED
        if self.is_paused:
            return State.PAUSED
        return State.WAITING if self._is_held_up else State.PLAYING

    @property
    def fault(self) -> str:
        """What is wrong, for people; empty when all is well, also in a night."""
        return self._trouble() if self.state is State.WAITING else self._fault

    @property
    def progress(self) -> float:
        """Share of all sessions that was played, 0 to 1 (row 001-087)."""
        return 1.0 if self._is_finished else self.course.progress

    @property
    def clock_ns(self) -> int | None:
        """Time of the replay, ns; None before anything went out.

        Log time, and in lock-step, where the simulator's clock is another one, the newest stamp that went out.
        """
        if self._newest_ns is None:
            return None
        return self._newest_ns if self.course.source.robot.lock_step else self.course.pace.position_ns

    def seek(self, index: int, position: float) -> None:
        """Goes on elsewhere, s from a session's start; raises UserError for a place that there is not."""
        self.course.open(index, position)
        self._is_finished = False
        self.answers.jump()

    def hear_embedding(self, stamp_ns: int, now: float) -> None:
        """Takes what the encoder made of an image; steady time in s."""
        if self.answers.hear_embedding(stamp_ns):
            self._let_it_be_seen(now)

    def hear_experience(self, sequence: int, stamp_next_ns: int, *, ends_cycle: bool) -> None:
        """Takes an experience of the learner."""
        self.learner.hear_experience(sequence, ends_cycle)
        if self.answers.hear_experience(stamp_next_ns):
            self._fault = ''

    def advance(self, now: float) -> Item | Break | None:
        """Returns what to publish now, or None; ask again until None. Steady time in s."""
        while not self._is_finished:
            if not self.course.begin():
                self._is_held_up = True
                return None
            if not self._may_go(now):
                return None
            entry = self.course.next
            if entry is None:
                self._end_session()
                continue
            self.course.step()
            out = self._take(entry, now)
            if out is not None:
                return out
        return None

    def _may_go(self, now: float) -> bool:
        answers, pace, upcoming = self.answers, self.course.pace, self.course.next
        if self.is_paused and not (answers.is_open or answers.awaits_anything):
            pace.stand_still(now)
            return False
        is_due = upcoming is None or pace.advance(now, upcoming.log_ns)
        if not self._settings.with_learner:
            self._is_held_up = False
            return is_due
        if self._awaits_answer(now):
            return False
        if answers.is_open:
            return is_due and self.barrier.is_passed(now)
        self.learner.look(now)
        # At the end only a night is waited for: nothing more is to be learned.
        self._is_held_up = self.learner.sleeps or (upcoming is not None and bool(self._trouble()))
        return is_due and not self._is_held_up and self.barrier.is_passed(now)

    def _awaits_answer(self, now: float) -> bool:
        if self.answers.awaits_anything:
            if self.learner.sleeps:
                self.answers.prolong(now)
            self._fault = self.answers.expire(now) or self._fault
        return self.answers.awaits_anything

    def _trouble(self) -> str:
        if not self._settings.with_learner or self.learner.sleeps:
            return ''
        if self.learner.trouble:
            return self.learner.trouble
        if self.course.choice is None:
            return 'the encoder has not said what it is'
        return '' if self.is_connected else 'the learner does not listen yet'

    def _is_left_out(self, item: Item) -> bool:
        if self._filter is None or item.motion is None:
            return False
        return not self._filter.matches(self.course.source.robot, item.motion.commanded)

    def _take(self, entry: Item | Break, now: float) -> Item | Break | None:
        if isinstance(entry, Break):
            return self._cut(entry, now)
        if self._is_left_out(entry):
            self.filtered += 1
            # What is seen next was not brought about by what the learner knows of.
            return None if self._is_cut else self._cut(Break(entry.log_ns), now)
        self._newest_ns = max(self._newest_ns or 0, entry.stamp_ns or 0)
        choice = self.course.choice
        if entry.motion is not None:
            self._is_cut = False
            self.steps += 1
            self.answers.act(entry.motion, self.course.source.robot.settle_time)
        elif choice is not None and entry.topic == choice.sense and entry.stamp_ns is not None:
            is_embedded = self._settings.with_learner and not choice.reuses
            self.answers.show(entry.stamp_ns, now, is_embedded_elsewhere=is_embedded)
            if not is_embedded:
                self._let_it_be_seen(now)
        return entry

    def _let_it_be_seen(self, now: float) -> None:
        """Waits until the learner took an embedding: its queue is short, and an action must not overtake it."""
        # An experience says it too.
        if self._settings.with_learner and not self.answers.awaits_experience:
            self.barrier.raise_up(now)

    def _cut(self, entry: Break, now: float) -> Break:
        self.info = entry.info or self.info
        self._is_cut = True
        self._newest_ns = None
        self.answers.jump()
        if self._settings.with_learner:
            self.barrier.raise_up(now)
        return replace(entry, info=self.info)

    def _end_session(self) -> None:
        """Goes on with the next session, anew, or not at all."""
        self.answers.end()
        if not self.course.is_last:
            self.course.open(self.course.index + 1)
        elif self._settings.loop:
            self.course.open(0)
        else:
            self._is_finished = True
