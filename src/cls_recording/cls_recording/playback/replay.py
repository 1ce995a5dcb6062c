"""State machine of a replay: next message to publish, and conditions to wait for. Times are of the steady clock."""

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from cls_common.errors import UserError

from .barrier import Barrier
from .items import Boundary, Item
from .learner_monitor import LearnerMonitor
from .playlist import Playlist
from .session_stream import MakeInfo, StreamSelection
from .settings import PlayerSettings, REUSE
from .sources import Source
from .step_tracker import StepTracker


class PlaybackState(IntEnum):
    """Values equal the constants of cls_interfaces/PlayerStatus."""

    WAITING = 0
    PLAYING = 1
    PAUSED = 2
    FINISHED = 3


class Replay:
    """Plays sessions one after the other.

    The next message is published when it is due, everything before it was answered, and the learner is awake. Between
    an action and the observation of its result only time counts: an incomplete step would be lost.

    Attributes:
        playlist: the sessions and the position among them.
        is_paused: takes effect between steps.
        is_connected: whether the learner subscribes to the published topics; set by the node.
        learner, tracker, barrier: state of the learner and the pending answers.
        info: current description of the robot, CDR.
        steps, filtered: number of actions replayed, and left out by the filter.
    """

    def __init__(self, sources: Sequence[Source], settings: PlayerSettings, make_info: MakeInfo) -> None:
        self._settings = settings
        self._filter = settings.action_filter
        for source in sources:
            if self._filter is not None:
                self._filter.check(source.robot)
            if settings.embeddings == REUSE and not source.encoder_id:
                raise UserError(f'session {source.path}', expected='recorded embeddings', found='none')
            # Before the first session is played, so that a later one does not end the replay.
            StreamSelection.choose(source, settings, None)
        self.playlist = Playlist(sources, settings, make_info)
        self.is_paused = settings.paused
        self.is_connected = not settings.with_learner
        self.learner, self.tracker = LearnerMonitor(), StepTracker(settings.answer_timeout, settings.readings)
        self.barrier = Barrier(settings.answer_timeout)
        self.info = self.playlist.info
        self.steps = self.filtered = 0
        self._is_finished = self._is_waiting = False
        self._fault = ''
        # Whether the receipt of the last published action is unproven.
        self._is_action_under_way = False
        # Whether no action was published since the last boundary.
        self._is_at_boundary = True
        self._newest_ns: int | None = None

    @property
    def state(self) -> PlaybackState:
        """State for the status message."""
        if self._is_finished:
            return PlaybackState.FINISHED
        if self.is_paused:
            return PlaybackState.PAUSED
        return PlaybackState.WAITING if self._is_waiting else PlaybackState.PLAYING

    @property
    def fault(self) -> str:
        """The current problem as text; empty without one, also during sleep."""
        return self._problem() if self.state is PlaybackState.WAITING else self._fault

    @property
    def progress(self) -> float:
        """Share of all sessions that was played, 0 to 1."""
        return 1.0 if self._is_finished else self.playlist.progress

    @property
    def clock_ns(self) -> int | None:
        """Time of the replay, ns; None before the first message.

        Log time; in lock-step, where the simulator has its own clock, the newest published stamp.
        """
        if self._newest_ns is None:
            return None
        return self._newest_ns if self.playlist.source.robot.lock_step else self.playlist.clock.position_ns

    def seek(self, index: int, position: float) -> None:
        """Continues at another position, s from a session's start; raises UserError for an invalid one."""
        self.playlist.open(index, position)
        self._is_finished = False
        self.tracker.reset()

    def on_embedding(self, stamp_ns: int, now: float) -> None:
        """Records an embedding of the encoder; steady time in s."""
        if self.tracker.on_embedding(stamp_ns):
            self._await_delivery(now)

    def on_experience(self, sequence: int, stamp_next_ns: int, *, ends_cycle: bool) -> None:
        """Records an experience of the learner."""
        self.learner.on_experience(sequence, ends_cycle)
        if self.tracker.on_experience(stamp_next_ns):
            self._fault = ''

    def advance(self, now: float) -> Item | Boundary | None:
        """Returns the next message to publish now, or None; to be called until None. Steady time in s."""
        while not self._is_finished:
            if not self.playlist.begin():
                self._is_waiting = True
                return None
            if not self._may_publish(now):
                return None
            entry = self.playlist.next
            if entry is None:
                self._end_session()
                continue
            if self._is_action_under_way and isinstance(entry, Item) and entry.action is not None:
                # Of two messages of one topic the answer to a request proves the receipt of the first only.
                self._await_delivery(now)
                continue
            self.playlist.step()
            out = self._process(entry, now)
            if out is not None:
                return out
        return None

    def _may_publish(self, now: float) -> bool:
        tracker, clock, upcoming = self.tracker, self.playlist.clock, self.playlist.next
        if self.is_paused and not (tracker.is_open or tracker.awaits_anything):
            clock.stand_still(now)
            return False
        is_due = upcoming is None or clock.advance(now, upcoming.log_ns)
        if not self._settings.with_learner:
            self._is_waiting = False
            return is_due
        if self._awaits_answer(now):
            return False
        if tracker.is_open:
            return is_due and self.barrier.is_passed(now)
        self.learner.check_silence(now)
        # At the end only a sleep is waited for: no more steps follow.
        self._is_waiting = self.learner.is_asleep or (upcoming is not None and bool(self._problem()))
        return is_due and not self._is_waiting and self.barrier.is_passed(now)

    def _awaits_answer(self, now: float) -> bool:
        if self.tracker.awaits_anything:
            if self.learner.is_asleep:
                self.tracker.restart_timeout(now)
            self._fault = self.tracker.expire(now) or self._fault
        return self.tracker.awaits_anything

    def _problem(self) -> str:
        if not self._settings.with_learner or self.learner.is_asleep:
            return ''
        if self.learner.problem:
            return self.learner.problem
        if self.playlist.selection is None:
            return 'the encoder has not answered yet'
        return '' if self.is_connected else 'the learner has not subscribed yet'

    def _is_left_out(self, item: Item) -> bool:
        if self._filter is None or item.action is None:
            return False
        return not self._filter.matches(self.playlist.source.robot, item.action.commanded)

    def _process(self, entry: Item | Boundary, now: float) -> Item | Boundary | None:
        if isinstance(entry, Boundary):
            return self._begin_segment(entry, now)
        if self._is_left_out(entry):
            self.filtered += 1
            # The next observation is the result of an action that the learner does not know.
            return None if self._is_at_boundary else self._begin_segment(Boundary(entry.log_ns), now)
        self._newest_ns = max(self._newest_ns or 0, entry.stamp_ns or 0)
        if entry.action is not None:
            self._is_at_boundary, self._is_action_under_way = False, True
            self.steps += 1
            robot, ends_step = self.playlist.source.robot, self.tracker.is_open
            self.tracker.on_action(entry.action, robot.settle_time, lock_step=robot.lock_step, now=now)
            if ends_step:
                # Else an observation could overtake this action and complete the step that it ends.
                self._await_delivery(now)
        elif entry.stamp_ns is not None:
            self._observe(entry.topic, entry.stamp_ns, now)
        return entry

    def _observe(self, topic: str, stamp_ns: int, now: float) -> None:
        selection = self.playlist.selection
        assert selection is not None
        for sense in selection.readings(topic):
            is_embedded = self._settings.with_learner and selection.is_encoded(sense)
            self.tracker.on_observation(stamp_ns, now, is_embedded_elsewhere=is_embedded, sense=sense)
            if not is_embedded:
                self._await_delivery(now)

    def _await_delivery(self, now: float) -> None:
        """Waits until the learner has received a message: its queues are short, and a later one could overtake it."""
        self._is_action_under_way = False
        # An experience proves the receipt too.
        if self._settings.with_learner and not self.tracker.awaits_experience:
            self.barrier.request(now)

    def _begin_segment(self, entry: Boundary, now: float) -> Boundary:
        self.info = entry.info or self.info
        self._is_at_boundary, self._is_action_under_way = True, False
        self._newest_ns = None
        self.tracker.reset()
        if self._settings.with_learner:
            self.barrier.request(now)
        return replace(entry, info=self.info)

    def _end_session(self) -> None:
        """Continues with the next session, starts over, or finishes."""
        self.tracker.finish()
        if not self.playlist.is_last:
            self.playlist.open(self.playlist.index + 1)
        elif self._settings.loop:
            self.playlist.open(0)
        else:
            self._is_finished = True
