"""No window that is trained on ever spans a gap (H2): a million of them, from lives in which everything goes wrong.

Embeddings say what nobody here is told: which state the body was in when the image was taken. Actions say from which
state to which they moved it. A window holds where each state it was in is the one that the next action began from.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cls_common.step_builder import Applied, Seen, StepBuilder
from cls_common.transition import Experience, Transition
from cls_learning import memory
from cls_learning.config import MemorySettings
from cls_learning.memory.contract import Record, ReplayMemory
from cls_learning.types import Windows
from cls_training.transition_reader import from_experiences

pytestmark = pytest.mark.timeout(300)  # ten seconds on a quiet machine
WINDOWS = 1_000_000
KINDS = ('pieces', 'fifo')
CAPACITY = 3000
WORLDS = ('acting', 'lock_step', 'follow')
MS = 1_000_000
FRAME, TIMEOUT = 33 * MS, 0.5  # ns, s
NOTHING = np.zeros(0)


class World:
    """A body, its camera and a StepBuilder that hears of both what gets through.

    Attributes:
        body: its state; rises with every motion. blurred: below 0, unlike any state.
    """

    def __init__(self, generator: np.random.Generator, kind: str) -> None:
        self._generator = generator
        self._kind = kind
        self._lock_step = kind == 'lock_step'
        self._time = 10**12  # ns, of stamps
        self._now = 0.0  # s, steady
        self._number = self._moved = 0
        self._shown: Seen | None = None
        self.body = 0
        self.wake = self._wake_state()

    def _wake_state(self) -> StepBuilder:
        return StepBuilder(settle_time=0.0 if self._lock_step else 0.02, lock_step=self._lock_step)

    def _chance(self, share: float) -> bool:
        return bool(self._generator.random() < share)

    def _pass(self, ns: int) -> None:
        self._time += ns
        self._now += ns / 1e9

    def _image(self, state: int, counts: bool = False) -> Transition | None:
        self._shown = Seen(np.array([state], np.float32), self._time)
        if not (self._lock_step or counts) and self._chance(0.15):
            return None  # dropped
        return self.wake.see(self._shown)

    def _move(self, key: tuple[str, int], answered: bool, ends: bool) -> Iterator[Transition | None]:
        """One motion, seen while it goes on; its answer comes before or after the image that shows its end."""
        start, before = self._time, self.body
        for _ in range(0 if self._lock_step else int(self._generator.integers(1, 5))):
            self._pass(FRAME)
            yield self._image(-1 - self._number)
        self._pass(MS)
        self.body += 1
        did = np.array([before, self.body], np.float32)
        applied = Applied(did, did, NOTHING, NOTHING, start, self._time, float('nan'), False, ends)
        late = self._chance(0.3)
        if answered and not late:
            yield self.wake.hear(key, applied, self._now)
        self._pass(FRAME)
        yield self._image(self.body, counts=ends)
        if answered and late:
            yield self.wake.hear(key, applied, self._now)
        if ends:
            self.body += 1  # begins anew elsewhere
            self._pass(FRAME)
            yield self._image(self.body)

    def _turn(self) -> Iterator[Transition | None]:
        chance = self._generator.random()
        if self._lock_step and self._shown is not None:
            self._now += FRAME / 1e9  # time of the world stands still, and the last image is shown again
            yield self.wake.see(self._shown)
        else:
            self._pass(FRAME)
            yield self._image(self.body)
        if chance < 0.02 or self._kind == 'follow':
            # With somebody else commanding, nobody here does; who commands waits for the body to come to rest.
            follows = self._kind == 'follow'
            if follows or not self.wake.is_open:
                yield from self._move(('teleop', self._moved), not (follows and self._chance(0.02)), self._chance(0.01))
                self._moved += 1
        elif chance < 0.03:
            self._jump()
        elif chance < 0.04:
            self._rest(int(self._generator.integers(1, 3000)))  # mode manual, and nobody acts
        elif self.wake.can_start:
            self.wake.open(('fast_learner', self._number), self._now)
            yield from self._move(('fast_learner', self._number), not self._chance(0.02), self._chance(0.01))
        self._number += 1
        if self.wake.expire(self._now, TIMEOUT) and self._chance(0.2):
            self.wake.restart()

    def _rest(self, ms: int) -> None:
        self._pass(0 if self._lock_step else ms * MS)

    def _jump(self) -> None:
        if not self._lock_step:
            self._time += int(self._generator.choice([-1, 1]) * self._generator.integers(1_001, 90_000)) * MS

    def live(self) -> Iterator[Transition]:
        """Yields the transitions that were closed, for ever."""
        while True:
            yield from (t for t in self._turn() if t is not None)

    def come_back(self, last: Transition | None) -> None:
        """fast_learner died and is there again, with the chain of the last step that somebody remembers."""
        self._rest(int(self._generator.integers(2_000, 20_000)))
        self.wake = self._wake_state()
        if last is not None and not last.truncated:
            self.wake.go_on(Seen(last.z_next, last.stamp_next), NOTHING)


class Labels:
    """Numbers steps as the waking half does."""

    def __init__(self) -> None:
        self.steps = self.episode = 0

    def take(self, transition: Transition) -> Experience:
        self.steps += 1
        self.episode += transition.boundary
        return Experience(
            transition=transition, sequence=self.steps, episode=self.episode, error_before=0.0, copy_error=0.0,
            prediction_after=transition.z, normalizer_version=0,
        )  # fmt: skip


def heard(world: World, generator: np.random.Generator) -> Iterator[Experience]:
    """What reaches slow_learner: not everything, and after a death of fast_learner not what it lived last."""
    labels, last, deaf = Labels(), None, 0
    for transition in world.live():
        experience = labels.take(transition)
        chance = generator.random()
        if chance < 0.005:
            deaf = int(generator.integers(1, 30))  # slow_learner is away
        deaf -= 1
        if deaf < 0 and chance > 0.02:
            last = experience
            yield experience
        if chance > 0.997 and last is not None:
            labels.steps, labels.episode = last.sequence, last.episode
            world.come_back(last.transition)


def recorded(world: World, generator: np.random.Generator) -> Iterator[Experience]:
    """The same out of a recording with holes: numbered anew, so only boundaries tell of them."""

    def events() -> Iterator[SimpleNamespace]:
        stamp = SimpleNamespace(sec=0, nanosec=0)
        for e in heard(world, generator):
            numbers = {'sequence': e.sequence, 'stamp_z': stamp, 'stamp_next': stamp}
            message = SimpleNamespace(**{**vars(e.transition), **numbers})
            if generator.random() > 0.03:
                yield SimpleNamespace(message=message)

    labels = Labels()
    for transition in from_experiences(events()):  # type: ignore[arg-type]
        yield labels.take(transition)


def windows_of(world: World, source: str, generator: np.random.Generator, wanted: int) -> Iterator[Windows]:
    """Draws `wanted` windows of 2 to 5 steps out of every memory, at moments of a life that is longer than it."""
    memories = {kind: make(kind) for kind in KINDS}
    for number, experience in enumerate((heard if source == 'live' else recorded)(world, generator), 1):
        for kind, own in memories.items():
            own.add(Record.of(labelled(experience)))
            if generator.random() < 0.0005:
                memories[kind] = stored_and_back(own, kind)
        if number < CAPACITY or number % 200:
            continue
        for own in memories.values():
            steps = int(generator.integers(2, 6))
            count = min(own.window_count(steps), wanted)
            wanted -= count
            yield own.windows(count, steps, generator)
            if wanted == 0:
                return


def labelled(experience: Experience) -> Experience:
    """Adds sequence and episode to the action, so that windows show them."""
    t = experience.transition
    action = np.array([*t.action_applied[:2], experience.sequence, experience.episode], np.float32)
    object.__setattr__(t, 'action_applied', action)
    return experience


def make(kind: str) -> ReplayMemory:
    return memory.make(MemorySettings(kind=kind, capacity=CAPACITY, piece_length=12), seed=1)


def stored_and_back(own: ReplayMemory, kind: str) -> ReplayMemory:
    state = {name: tensor.clone() for name, tensor in own.state().items()}
    back = make(kind)
    back.load(state)
    return back


def spans_a_gap(windows: Windows) -> torch.Tensor:
    """Returns (B,) which windows do: the state an action began from is not the one seen, or the numbers leap."""
    before, _, sequence, episode = windows.action.unbind(-1)
    seen = windows.z[:, :, 0]
    other_state = (seen[:, 1:-1] != before[:, 1:]).any(1)
    leaps = (sequence[:, 1:] != sequence[:, :-1] + 1).any(1) | (episode != episode[:, :1]).any(1)
    return other_state | leaps


@pytest.mark.parametrize('source', ['live', 'recorded'])
@pytest.mark.parametrize('world', WORLDS)
def test_no_window_of_a_million_spans_a_gap(world: str, source: str) -> None:
    generator = np.random.default_rng([WORLDS.index(world), source == 'live'])
    wanted = -(-WINDOWS // 2 // len(WORLDS))
    drawn = 0
    for windows in windows_of(World(generator, world), source, generator, wanted):
        wrong = spans_a_gap(windows)
        assert not wrong.any(), f'{windows.z[wrong][0]} {windows.action[wrong][0]}'
        drawn += len(wrong)
    assert drawn == wanted


def test_the_check_sees_gaps() -> None:
    """Of a memory that forgets to look: the same records, told that all of them follow each other."""
    generator = np.random.default_rng(0)
    own = make('fifo')
    lived = islice(heard(World(generator, 'acting'), generator), CAPACITY)
    for number, experience in enumerate(lived):
        own.add(replace(Record.of(labelled(experience)), sequence=number, episode=0))
    wrong = spans_a_gap(own.windows(own.window_count(3), 3, generator))
    assert 0.1 < wrong.float().mean() < 0.5
