"""No training window spans a gap: 200,000 windows from streams with losses, jumps of the clock and restarts.

An embedding holds the state of the robot when its image was taken, which the code under test does not look at. An
action holds the states from which and to which it moved the robot. A window is right where each state in it is the one
from which the next action began.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cls_common.nodes.experience_messages import to_experience_message
from cls_common.step_builder import Applied, StepBuilder
from cls_common.transition import EMBEDDING, Experience, Reading, Transition
from cls_learning import memory
from cls_learning.config import MemorySettings
from cls_learning.memory.contract import Record, ReplayMemory
from cls_learning.types import Windows
from cls_recording.steps import from_experiences

pytestmark = pytest.mark.timeout(300)  # ten seconds on a quiet machine
WINDOWS = 200_000
KINDS = ('pieces', 'fifo')
CAPACITY = 3000
WORLDS = ('acting', 'lock_step', 'follow')
MS = 1_000_000
FRAME, TIMEOUT = 33 * MS, 0.5  # ns, s
NOTHING = np.zeros(0)


class World:
    """A robot, its camera and a StepBuilder that receives from both what is not lost.

    Attributes:
        state: of the robot; rises with every motion. An image taken during a motion has a negative one.
        builder: closes the transitions.
    """

    def __init__(self, generator: np.random.Generator, kind: str) -> None:
        self._generator = generator
        self._kind = kind
        self._lock_step = kind == 'lock_step'
        self._time = 10**15  # ns, of stamps
        self._now = 0.0  # s, steady
        self._number = self._moved = 0
        self._shown: Reading | None = None
        self.state = 0
        self.builder = self._new_builder()

    def _new_builder(self) -> StepBuilder:
        return StepBuilder(settle_time=0.0 if self._lock_step else 0.02, lock_step=self._lock_step)

    def _chance(self, share: float) -> bool:
        return bool(self._generator.random() < share)

    def _pass(self, ns: int) -> None:
        self._time += ns
        self._now += ns / 1e9

    def _image(self, state: int, counts: bool = False) -> Transition | None:
        self._shown = Reading(np.array([state], np.float32), self._time)
        if not (self._lock_step or counts) and self._chance(0.15):
            return None  # dropped
        return self.builder.add_reading(EMBEDDING, self._shown)

    def _move(self, key: tuple[str, int], answered: bool, ends: bool) -> Iterator[Transition | None]:
        """Moves once, with images meanwhile; the applied action comes before or after the image of the end."""
        start, before = self._time, self.state
        for _ in range(0 if self._lock_step else int(self._generator.integers(1, 5))):
            self._pass(FRAME)
            yield self._image(-1 - self._number)
        self._pass(MS)
        self.state += 1
        did = np.array([before, self.state], np.float32)
        applied = Applied(did, did, NOTHING, NOTHING, start, self._time, float('nan'), False, ends)
        late = self._chance(0.3)
        if answered and not late:
            yield self.builder.add_applied_action(key, applied, self._now)
        self._pass(FRAME)
        yield self._image(self.state, counts=ends)
        if answered and late:
            yield self.builder.add_applied_action(key, applied, self._now)
        if ends:
            self.state += 1  # the next episode begins in another state
            self._pass(FRAME)
            yield self._image(self.state)

    def _turn(self) -> Iterator[Transition | None]:
        chance = self._generator.random()
        if self._lock_step and self._shown is not None:
            self._now += FRAME / 1e9  # the time of the environment stops, and the last image is shown again
            yield self.builder.add_reading(EMBEDDING, self._shown)
        else:
            self._pass(FRAME)
            yield self._image(self.state)
        if chance < 0.02 or self._kind == 'follow':
            # While another node commands, the learner does not; that node waits until the robot is at rest.
            follows = self._kind == 'follow'
            if follows or not self.builder.is_open:
                yield from self._move(('teleop', self._moved), not (follows and self._chance(0.02)), self._chance(0.01))
                self._moved += 1
        elif chance < 0.03:
            self._jump()
        elif chance < 0.04:
            self._rest(int(self._generator.integers(1, 3000)))  # mode manual, and no action comes
        elif self.builder.can_start:
            self.builder.open(('fast_learner', self._number), self._now)
            yield from self._move(('fast_learner', self._number), not self._chance(0.02), self._chance(0.01))
        self._number += 1
        if self.builder.expire(self._now, TIMEOUT) and self._chance(0.2):
            self.builder.reset()

    def _rest(self, ms: int) -> None:
        self._pass(0 if self._lock_step else ms * MS)

    def _jump(self) -> None:
        if not self._lock_step:
            self._time += int(self._generator.choice([-1, 1]) * self._generator.integers(1_001, 90_000)) * MS

    def transitions(self) -> Iterator[Transition]:
        """Yields the transitions that were closed, without end."""
        while True:
            yield from (t for t in self._turn() if t is not None)

    def restart_learner(self, last: Transition | None) -> None:
        """Restarts fast_learner after a crash, with the last step that slow_learner received."""
        self._rest(int(self._generator.integers(2_000, 20_000)))
        self.builder = self._new_builder()
        if last is not None and not last.truncated:
            self.builder.resume(last.after, NOTHING)


class Labels:
    """Numbers steps as the online learner does."""

    def __init__(self) -> None:
        self.steps = self.episode = 0

    def take(self, transition: Transition) -> Experience:
        self.steps += 1
        self.episode += transition.boundary
        return Experience(transition=transition, sequence=self.steps, episode=self.episode)


def received(world: World, generator: np.random.Generator) -> Iterator[Experience]:
    """Yields what reaches slow_learner: not everything, and after a crash of fast_learner not its last steps."""
    labels, last, away = Labels(), None, 0
    for transition in world.transitions():
        experience = labels.take(transition)
        chance = generator.random()
        if chance < 0.005:
            away = int(generator.integers(1, 30))  # slow_learner is away
        away -= 1
        if away < 0 and chance > 0.02:
            last = experience
            yield experience
        if chance > 0.997 and last is not None:
            labels.steps, labels.episode = last.sequence, last.episode
            world.restart_learner(last.transition)


def recorded(world: World, generator: np.random.Generator) -> Iterator[Experience]:
    """Yields the same from a recording with holes; steps are counted again, so that only boundaries show the holes."""

    def events() -> Iterator[SimpleNamespace]:
        for experience in received(world, generator):
            if generator.random() > 0.03:
                yield SimpleNamespace(message=to_experience_message(experience, 'run', 'cls'))

    labels = Labels()
    for transition in from_experiences(events()):  # type: ignore[arg-type]
        yield labels.take(transition)


def windows_of(world: World, source: str, generator: np.random.Generator, wanted: int) -> Iterator[Windows]:
    """Yields `wanted` windows of 2 to 5 steps from every memory, at several times of a stream longer than it."""
    memories = {kind: make(kind) for kind in KINDS}
    for number, experience in enumerate((received if source == 'graph' else recorded)(world, generator), 1):
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
    """Adds sequence and episode to the action, so that windows hold them."""
    t = experience.transition
    action = np.array([*t.action_applied[:2], experience.sequence, experience.episode], np.float32)
    return replace(experience, transition=replace(t, action_applied=action))


def make(kind: str) -> ReplayMemory:
    return memory.make(MemorySettings(kind=kind, capacity=CAPACITY, piece_length=12), seed=1)


def stored_and_back(own: ReplayMemory, kind: str) -> ReplayMemory:
    state = {name: tensor.clone() for name, tensor in own.state().items()}
    back = make(kind)
    back.load(state)
    return back


def spans_a_gap(windows: Windows) -> torch.Tensor:
    """Returns bool (B,): an action began from another state than the embedding's, or numbers are not consecutive."""
    before, _, sequence, episode = windows.action.unbind(-1)
    seen = windows.z[:, :, 0]
    other_state = (seen[:, 1:-1] != before[:, 1:]).any(1)
    leaps = (sequence[:, 1:] != sequence[:, :-1] + 1).any(1) | (episode != episode[:, :1]).any(1)
    return other_state | leaps


@pytest.mark.parametrize('source', ['graph', 'recorded'])
@pytest.mark.parametrize('world', WORLDS)
def test_no_window_spans_a_gap(world: str, source: str) -> None:
    generator = np.random.default_rng([WORLDS.index(world), source == 'graph'])
    wanted = -(-WINDOWS // 2 // len(WORLDS))
    drawn = 0
    for windows in windows_of(World(generator, world), source, generator, wanted):
        wrong = spans_a_gap(windows)
        assert not wrong.any(), f'{windows.z[wrong][0]} {windows.action[wrong][0]}'
        drawn += len(wrong)
    assert drawn == wanted


def test_the_check_finds_gaps() -> None:
    """In a memory that ignores them: the same records, numbered as if all of them followed each other."""
    generator = np.random.default_rng(0)
    own = make('fifo')
    experiences = islice(received(World(generator, 'acting'), generator), CAPACITY)
    for number, experience in enumerate(experiences):
        own.add(replace(Record.of(labelled(experience)), sequence=number, episode=0))
    wrong = spans_a_gap(own.windows(own.window_count(3), 3, generator))
    assert 0.1 < wrong.float().mean() < 0.5
