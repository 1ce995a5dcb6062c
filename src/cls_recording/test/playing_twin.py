"""A learner for replays: pairs what goes out by the rules of the real one and answers later, in virtual time."""

from collections import deque

import numpy as np

from cls_common import comms
from cls_learning.agent.wake_state import Applied, Seen, WakeState
from cls_recording.definitions import installed
from cls_recording.playing.items import Break, header_stamp
from cls_recording.playing.reading import EncoderAnswer
from cls_recording.playing.replay import Replay, State
from cls_recording.playing.settings import PlayerSettings
from cls_recording.playing.sources import open_sources

EYES = EncoderAnswer('eyes', 'camera')


def read(item):
    return installed().deserialize_cdr(item.data, item.type)


def nanoseconds(stamp):
    return stamp.sec * 10**9 + stamp.nanosec


def to_info(robot):
    return b'info of ' + robot.name.encode()


class Twin:
    """Hears what a replay publishes and answers it; time is virtual.

    Like an rclpy executor it takes one message of each topic and then one request in a turn, the topics in the order
    in which they were subscribed; of embeddings its queue holds ten.

    Attributes:
        heard: everything that went out, with the time at which it did.
        lived: transitions. cycle: steps between two nights; 0: none.
        phase, mode, loaded: what its status says, twice a second.
        latency: s of one turn.
    """

    def __init__(
        self, paths, *, encoder=EYES, cycle=0, latency=0.002, night=30.0, is_blind=False, answers=True, **settings
    ):
        self.sources = open_sources(paths)
        self.replay = Replay(self.sources, PlayerSettings(**settings), to_info)
        self.replay.is_connected = True
        self.encoder, self.cycle, self.latency, self.night = encoder, cycle, latency, night
        self.now, self.is_blind, self.answers = 0.0, is_blind, answers
        self.heard, self.lived, self.nights, self.clock = [], [], [], []
        self.phase, self.mode, self.loaded, self.is_silent = 'wake', 'follow', True, False
        self.wake = WakeState()
        self._seen, self._acted, self._told, self._shown = deque(maxlen=10), deque(), deque(), deque(maxlen=10)
        self._asked, self._turned, self._said = 0, 0.0, -1.0

    def run(self, until=lambda twin: twin.replay.state is State.FINISHED, seconds=2000.0, step=0.001):
        """Lets time pass until a claim holds; returns itself. Fails where that takes too long."""
        end = self.now + seconds
        while not until(self):
            assert self.now < end, (self.replay.state, self.replay.fault, len(self.heard), len(self.lived))
            self.tick(step)
        return self

    def tick(self, seconds):
        """Lets time pass once."""
        self.now += seconds
        replay = self.replay
        if self.now - self._said >= 0.5 and not self.is_silent:
            self._say()
        if self.now - self._turned >= self.latency:
            self._turn()
        if replay.course.choice is None and self.encoder is not None:
            replay.course.hear_encoder(self.encoder)
        while (out := replay.advance(self.now)) is not None:
            self.heard.append((self.now, out))
            self.clock.append(replay.clock_ns)
            self._take(out)
        self._asked = replay.barrier.wanted if replay.barrier.is_up else self._asked

    def _turn(self):
        """One turn of the learner's executor, and one of the encoder's."""
        self._turned = self.now
        question = self._asked
        for queue, react in ((self._seen, self._see), (self._acted, self._act), (self._told, self._restart)):
            if queue:
                react(queue.popleft())
        if self.answers:
            self.replay.barrier.hear(question)
        if self._shown:
            stamp = self._shown.popleft()
            self._seen.append(stamp)
            self.replay.hear_embedding(stamp, self.now)

    def _say(self):
        self._said = self.now
        if self.phase == 'asleep' and self.nights and self.now > self.nights[-1] + self.night:
            self.phase = 'wake'
        self.replay.learner.hear_status(
            phase=self.phase, mode=self.mode, loaded=self.loaded, total_steps=len(self.lived), fault='', now=self.now
        )

    def _take(self, out):
        choice = self.replay.course.choice
        if isinstance(out, Break):
            self._told.append(self.replay.course.source.robot)
        elif out.motion is not None:
            self._acted.append(out)
        elif out.topic == choice.sense and not self.is_blind:
            (self._seen if choice.reuses else self._shown).append(header_stamp(out.data))

    def _restart(self, robot):
        self.wake.restart()
        self.wake.settle_time, self.wake.lock_step = robot.settle_time, robot.lock_step

    def _see(self, stamp):
        self._live(self.wake.see(Seen(np.array([stamp], np.float64), stamp)))

    def _act(self, out):
        m = read(out)
        if m.error_code:
            self.wake.break_chain()
            return
        applied = Applied(
            m.commanded, m.applied, m.joints_before, m.joints_after, nanoseconds(m.start), nanoseconds(m.end), m.reward,
            m.terminal, m.truncated,
        )  # fmt: skip
        self._live(self.wake.hear((m.source, m.sequence), applied, self.now))

    def _live(self, transition):
        if transition is None or self.phase != 'wake':
            return
        self.lived.append(transition)
        ends = bool(self.cycle) and len(self.lived) % self.cycle == 0
        if ends:
            self.phase = 'asleep'
            self.nights.append(self.now)
        if not self.is_silent:
            self.replay.hear_experience(len(self.lived), transition.stamp_next, ends_cycle=ends)

    def topics(self):
        """Names of what went out, robot/info for a new chain."""
        return [comms.ROBOT_INFO.name if isinstance(out, Break) else out.topic for _, out in self.heard]

    def actions(self):
        """Sequences of the actions that went out."""
        return [out.motion.key[1] for _, out in self.heard if not isinstance(out, Break) and out.motion]
