"""Simulated learner for replays: pairs messages by the rules of the real one and answers later, in virtual time."""

from collections import deque
from functools import partial

import numpy as np

from cls_common import comms
from cls_common.experience_codec import from_applied_action
from cls_common.step_builder import StepBuilder
from cls_common.transition import EMBEDDING, Reading
from cls_recording import cdr_fields
from cls_recording.definitions import installed
from cls_recording.playback.items import Boundary
from cls_recording.playback.replay import PlaybackState, Replay
from cls_recording.playback.session_stream import EncoderAnswer
from cls_recording.playback.settings import PlayerSettings
from cls_recording.playback.sources import open_sources

ENCODER = EncoderAnswer('recorded', 'camera')


def read(item):
    return installed().deserialize_cdr(item.data, item.type)


def to_info(robot):
    return b'info of ' + robot.name.encode()


class SimulatedLearner:
    """Receives what a replay publishes and answers it; time is virtual.

    Like an rclpy executor it takes one message of each topic and then one request in a turn, the topics in the order
    in which they were subscribed, or shuffled in each turn; its queue of each sense holds ten.

    Attributes:
        published: all messages of the replay, with the time of publication.
        steps: transitions. cycle: steps between two sleeps; 0: none.
        phase, mode, loaded: fields of its status, published twice a second.
        latency: s of one turn.
    """

    def __init__(
        self,
        paths,
        *,
        encoder=ENCODER,
        cycle=0,
        latency=0.002,
        sleep_duration=30.0,
        is_blind=False,
        answers=True,
        shuffle=None,
        **settings,
    ):
        self.sources = open_sources(paths)
        self.replay = Replay(self.sources, PlayerSettings(**settings), to_info)
        self.replay.is_connected = True
        self.encoder, self.cycle, self.latency, self.sleep_duration = encoder, cycle, latency, sleep_duration
        self.now, self.is_blind, self.answers = 0.0, is_blind, answers
        self.published, self.steps, self.sleeps, self.clock = [], [], [], []
        self.phase, self.mode, self.loaded, self.is_silent = 'wake', 'follow', True, False
        self.shuffle = shuffle or (lambda queues: None)
        self.wake = StepBuilder(PlayerSettings(**settings).readings)
        self._seen = {sense: deque(maxlen=10) for sense in self.wake.senses}
        self._acted, self._restarts, self._to_embed = deque(), deque(), deque(maxlen=10)
        self._request, self._spun_at, self._status_at = 0, 0.0, -1.0

    def run(self, until=lambda learner: learner.replay.state is PlaybackState.FINISHED, seconds=2000.0, step=0.001):
        """Advances time until a condition holds; returns itself. Fails after `seconds`."""
        end = self.now + seconds
        while not until(self):
            assert self.now < end, (self.replay.state, self.replay.fault, len(self.published), len(self.steps))
            self.tick(step)
        return self

    def tick(self, seconds):
        """Advances time once."""
        self.now += seconds
        replay = self.replay
        if self.now - self._status_at >= 0.5 and not self.is_silent:
            self._publish_status()
        if self.now - self._spun_at >= self.latency:
            self._spin_once()
        if replay.playlist.selection is None and self.encoder is not None:
            replay.playlist.on_encoder(self.encoder)
        while (out := replay.advance(self.now)) is not None:
            self.published.append((self.now, out))
            self.clock.append(replay.clock_ns)
            self._on_published(out)
        self._request = replay.barrier.wanted if replay.barrier.is_waiting else self._request

    def _spin_once(self):
        """Spins the learner's and the encoder's executor once."""
        self._spun_at = self.now
        question = self._request
        queues = [(queue, partial(self._on_reading, sense)) for sense, queue in self._seen.items()]
        queues += [(self._acted, self._on_action), (self._restarts, self._restart)]
        self.shuffle(queues)
        for queue, react in queues:
            if queue:
                react(queue.popleft())
        if self.answers:
            self.replay.barrier.on_answer(question)
        if self._to_embed:
            stamp = self._to_embed.popleft()
            self._seen[EMBEDDING].append(stamp)
            self.replay.on_embedding(stamp, self.now)

    def _publish_status(self):
        self._status_at = self.now
        if self.phase == 'asleep' and self.sleeps and self.now > self.sleeps[-1] + self.sleep_duration:
            self.phase = 'wake'
        self.replay.learner.on_status(
            phase=self.phase, mode=self.mode, loaded=self.loaded, total_steps=len(self.steps), fault='', now=self.now
        )

    def _on_published(self, out):
        selection = self.replay.playlist.selection
        if isinstance(out, Boundary):
            self._restarts.append(self.replay.playlist.source.robot)
        elif out.action is not None:
            self._acted.append(out)
        elif not self.is_blind:
            for sense in selection.readings(out.topic):
                queue = self._to_embed if selection.is_encoded(sense) else self._seen[sense]
                queue.append(cdr_fields.stamp(out.data))

    def _restart(self, robot):
        self.wake.reset()
        self.wake.settle_time, self.wake.lock_step = robot.settle_time, robot.lock_step

    def _on_reading(self, sense, stamp):
        self._on_transition(self.wake.add_reading(sense, Reading(np.array([stamp], np.float64), stamp)))

    def _on_action(self, out):
        m = read(out)
        if m.error_code:
            self.wake.break_chain()
            return
        applied = from_applied_action(m)
        self._on_transition(self.wake.add_applied_action((m.source, m.sequence), applied, self.now))

    def _on_transition(self, transition):
        if transition is None or self.phase != 'wake':
            return
        self.steps.append(transition)
        ends = bool(self.cycle) and len(self.steps) % self.cycle == 0
        if ends:
            self.phase = 'asleep'
            self.sleeps.append(self.now)
        if not self.is_silent:
            self.replay.on_experience(len(self.steps), transition.stamp_next, ends_cycle=ends)

    def topics(self):
        """Topics of the published messages, robot/info for a boundary."""
        return [comms.ROBOT_INFO.name if isinstance(out, Boundary) else out.topic for _, out in self.published]

    def actions(self):
        """Sequence numbers of the published actions."""
        return [out.action.key[1] for _, out in self.published if not isinstance(out, Boundary) and out.action]
