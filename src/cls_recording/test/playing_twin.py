"""A learner for replays: pairs what goes out by the rules of the real one and answers later, in virtual time."""

from dataclasses import replace

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

    Attributes:
        heard: everything that went out, with the time at which it did.
        lived: transitions. cycle: steps between two nights; 0: none.
        phase, mode, loaded: what its status says, twice a second.
    """

    def __init__(self, paths, *, encoder=EYES, cycle=0, latency=0.002, night=30.0, is_blind=False, **settings):
        self.sources = open_sources(paths)
        self.replay = Replay(self.sources, PlayerSettings(**settings), to_info)
        self.replay.is_connected = True
        self.encoder, self.cycle, self.latency, self.night = encoder, cycle, latency, night
        self.now, self.is_blind = 0.0, is_blind
        self.heard, self.lived, self.nights, self.clock = [], [], [], []
        self.phase, self.mode, self.loaded, self.is_silent = 'wake', 'follow', True, False
        self.wake = WakeState()
        self._answers, self._said = [], -1.0

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
        due = [answer for answer in self._answers if answer[0] <= self.now]
        self._answers = [answer for answer in self._answers if answer[0] > self.now]
        for _, answer in due:
            answer()
        if replay.course.choice is None and self.encoder is not None:
            replay.course.hear_encoder(self.encoder)
        while (out := replay.advance(self.now)) is not None:
            self.heard.append((self.now, out))
            self.clock.append(replay.clock_ns)
            self._take(out)
        if replay.barrier.is_up:
            self._later(lambda number=replay.barrier.wanted: replay.barrier.hear(number))

    def _later(self, answer):
        self._answers.append((self.now + self.latency, answer))

    def _say(self):
        self._said = self.now
        if self.phase == 'asleep' and self.nights and self.now > self.nights[-1] + self.night:
            self.phase = 'wake'
        self.replay.learner.hear_status(
            phase=self.phase, mode=self.mode, loaded=self.loaded, total_steps=len(self.lived), fault='', now=self.now
        )

    def _take(self, out):
        replay = self.replay
        robot = replay.course.source.robot
        if isinstance(out, Break):
            self.wake.restart()
            self.wake.settle_time, self.wake.lock_step = robot.settle_time, robot.lock_step
        elif out.motion is not None:
            self._act(out)
        elif out.topic == replay.course.choice.sense and not self.is_blind:
            stamp = header_stamp(out.data)
            if not replay.course.choice.reuses:
                self._later(lambda: replay.answers.hear_embedding(stamp))
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
        self.lived.append(replace(transition))
        sequence, ends = len(self.lived), bool(self.cycle) and len(self.lived) % self.cycle == 0
        if ends:
            self.phase = 'asleep'
            self.nights.append(self.now)
        self._later(lambda: self.replay.hear_experience(sequence, transition.stamp_next, ends_cycle=ends))

    def topics(self):
        """Names of what went out, robot/info for a new chain."""
        return [comms.ROBOT_INFO.name if isinstance(out, Break) else out.topic for _, out in self.heard]

    def actions(self):
        """Sequences of the actions that went out."""
        return [out.motion.key[1] for _, out in self.heard if not isinstance(out, Break) and out.motion]
