"""ObservationMemory against a naive list: what it holds and draws, its bytes, its limits, and what a file keeps of it.

Readings count: those of observation i hold i, so a window that leaps over anything shows it.
"""

from collections import Counter
from dataclasses import dataclass, replace
import tracemalloc

from hypothesis import given, settings, strategies
import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.transition import Experience, Observation, Reading, Transition
from cls_learning import state_bytes
from cls_learning.config import ObservationMemorySettings
from cls_learning.memory.observation_memory import ObservationMemory

SIDE = 4
OBSERVATION_BYTES = SIDE * SIDE * 3 + 2 * 4
MOTION_BYTES = 4 + 4 + 8 + 8
STEP_BYTES = OBSERVATION_BYTES + MOTION_BYTES
# n the next step, e the first of an episode, b after a boundary, g after a gap, t the last of an episode that no
# boundary follows, x a step whose first observation is not the last one of the step before.
events_of_runs = strategies.text('nnnnnnebgtx', min_size=1, max_size=80)
limits = strategies.builds(
    ObservationMemorySettings,
    capacity=strategies.integers(1, 40),
    max_bytes=strategies.integers(STEP_BYTES + OBSERVATION_BYTES, 40 * STEP_BYTES),
    keep=strategies.sampled_from(['newest', 'balanced']),
)


def observe(number: int, side: int = SIDE) -> Observation:
    return Observation(
        {
            'camera': Reading(np.full((side, side, 3), number % 256, np.uint8), 10 * number),
            'state': Reading(np.array([number, -number], np.float32), 10 * number + 1, f'encoder {number % 2}', number),
        }
    )


def take(
    number: int, sequence: int, episode: int, boundary: bool = False, terminal: bool = False, side: int = SIDE
) -> Experience:
    transition = Transition(
        before=observe(number, side),
        after=observe(number + 1, side),
        boundary=boundary,
        terminal=terminal,
        action_commanded=np.array([sequence + 0.5], np.float32),
        action_applied=np.array([sequence], np.float32),
        joints=np.array([sequence / 3]),
        joints_next=np.array([sequence / 7]),
        truncated=number % 5 == 4 and terminal,
        reward=float('nan') if number % 2 else number / 3,
        image_delay=number % 3,
    )
    return Experience(transition=transition, sequence=sequence, episode=episode)


@dataclass
class Held:
    """One transition in the naive list."""

    chain: int
    number: int
    experience: Experience


def run(events: str) -> list[Held]:
    """Returns the steps of a run, each with the number of its unbroken chain and of its first observation."""
    held: list[Held] = []
    chain = number = sequence = episode = 0
    breaks = True
    for event in events:
        breaks = breaks or event in 'ebgx'
        chain += breaks
        number += 2 if breaks else 1
        sequence += 3 if event == 'g' else 1
        episode += event == 'e'
        held.append(Held(chain, number, take(number, sequence, episode, boundary=event in 'eb', terminal=event == 't')))
        breaks = event == 't'
    return held


def keep(held: list[Held], limit: ObservationMemorySettings) -> list[Held]:
    """Returns what is left of a list after one step was added to its end."""
    while len(held) > limit.capacity or nbytes(held) > limit.max_bytes:
        counts = Counter(each.experience.episode for each in held)
        largest = [e for e, count in counts.items() if count == max(counts.values())]
        drops = held[0].experience.episode if limit.keep == 'newest' else min(largest)
        held = list(held)
        held.remove(next(each for each in held if each.experience.episode == drops))
    return held


def nbytes(held: list[Held]) -> int:
    observations = {(each.chain, number) for each in held for number in (each.number, each.number + 1)}
    return len(held) * MOTION_BYTES + len(observations) * OBSERVATION_BYTES


def windows(held: list[Held], steps: int) -> set[tuple[int, ...]]:
    """Returns the numbers of the observations of every unbroken stretch."""
    stretches = (held[at : at + steps] for at in range(len(held) - steps + 1))
    return {
        (*(each.number for each in stretch), stretch[-1].number + 1)
        for stretch in stretches
        if len({each.chain for each in stretch}) == 1
    }


def filled(events: str, limit: ObservationMemorySettings) -> ObservationMemory:
    memory = ObservationMemory(limit)
    for each in run(events):
        memory.add(each.experience)
    return memory


def assert_equal_experiences(found: list[Experience], expected: list[Experience]) -> None:
    """Compares everything, to the bit and the dtype."""
    assert [(e.sequence, e.episode) for e in found] == [(e.sequence, e.episode) for e in expected]
    for a, b in zip((e.transition for e in found), (e.transition for e in expected), strict=True):
        for (name, one), (other_name, other) in zip(a.arrays(), b.arrays(), strict=True):
            assert name == other_name and one.dtype == other.dtype and np.array_equal(one, other)
        for one, other in ((a.before, b.before), (a.after, b.after)):
            about = [[(r.stamp, r.encoder_id, r.encoder_version) for r in o.readings.values()] for o in (one, other)]
            assert about[0] == about[1]
        assert np.array_equal(a.reward, b.reward, equal_nan=True)
        assert (a.boundary, a.terminal, a.truncated, a.image_delay) == (
            b.boundary,
            b.terminal,
            b.truncated,
            b.image_delay,
        )


@settings(max_examples=150, deadline=None)
@given(events=events_of_runs, limit=limits)
def test_holds_what_a_naive_list_holds_within_both_limits(events: str, limit: ObservationMemorySettings) -> None:
    memory, held = ObservationMemory(limit), list[Held]()
    for each in run(events):
        memory.add(each.experience)
        held = keep([*held, each], limit)
        assert len(memory) == len(held) <= limit.capacity
        assert memory.nbytes == nbytes(held) <= limit.max_bytes
        assert held[-1] is each, 'the newest is kept'
    assert_equal_experiences(list(memory.experiences()), [each.experience for each in held])


@settings(max_examples=150, deadline=None)
@given(events=events_of_runs, limit=limits, steps=strategies.integers(1, 6))
def test_windows_are_those_of_a_naive_list_and_never_leap(
    events: str, limit: ObservationMemorySettings, steps: int
) -> None:
    held: list[Held] = []
    for each in run(events):
        held = keep([*held, each], limit)
    memory, expected = filled(events, limit), windows(held, steps)
    assert memory.window_count(steps) == len(expected)
    if not expected:
        return
    drawn = memory.windows(len(expected), steps, np.random.default_rng(0))
    numbers = drawn.observations['state'][:, :, 0].int()
    assert {tuple(row) for row in numbers.tolist()} == expected
    assert torch.equal(drawn.observations['camera'][:, :, 0, 0, 0], numbers.to(torch.uint8))
    by_number = {each.number: each.experience for each in held}
    for row, *arrays in zip(numbers, drawn.action_applied, drawn.joints, drawn.reward, drawn.terminal, strict=True):
        transitions = [by_number[int(number)].transition for number in row[:-1]]
        of_steps = [[t.action_applied, t.joints, t.reward, t.terminal] for t in transitions]
        for found, values in zip(arrays, zip(*of_steps, strict=True), strict=True):
            exact = np.array(values, np.float32 if found.dtype == torch.float32 else np.bool_)
            assert np.array_equal(found.numpy(), exact, equal_nan=found.dtype == torch.float32)


@settings(max_examples=100, deadline=None)
@given(events=events_of_runs, limit=limits, cut=strategies.integers(0, 80))
def test_a_stored_memory_goes_on_as_the_original(events: str, limit: ObservationMemorySettings, cut: int) -> None:
    original, stored = ObservationMemory(limit), ObservationMemory(limit)
    for number, each in enumerate(run(events)):
        if number == cut:
            state = state_bytes.unpack(state_bytes.pack(stored.state()), 'memory')
            stored = ObservationMemory(limit)
            stored.load(state)
        original.add(each.experience)
        stored.add(each.experience)
    assert_equal_experiences(list(stored.experiences()), list(original.experiences()))
    assert (len(stored), stored.nbytes) == (len(original), original.nbytes)


@settings(max_examples=60, deadline=None)
@given(events=events_of_runs, limit=limits, seed=strategies.integers(0, 9))
def test_draws_depend_on_content_and_generator_alone(events: str, limit: ObservationMemorySettings, seed: int) -> None:
    original, loaded = filled(events, limit), ObservationMemory(limit)
    loaded.load(state_bytes.unpack(state_bytes.pack(original.state()), 'memory'))
    count = original.window_count(1) // 2 + 1
    a, b = (m.transitions(count, np.random.default_rng(seed)) for m in (original, loaded))
    torch.testing.assert_close(vars(a), vars(b), rtol=0, atol=0, equal_nan=True)
    assert len(set(a.action_applied[:, 0].tolist())) == count, 'without replacement'
    if original.window_count(2):
        c, d = (m.windows(1, 2, np.random.default_rng(seed)) for m in (original, loaded))
        torch.testing.assert_close(vars(c), vars(d), rtol=0, atol=0, equal_nan=True)


def test_a_state_holds_each_observation_once_and_images_as_bytes() -> None:
    memory = filled('nnnnennn', ObservationMemorySettings())
    state = memory.state()
    assert state['chains'].tolist() == [[0, 1, 4], [1, 5, 4]]
    assert state['data.camera'].shape == (8 + 2, SIDE, SIDE, 3) and state['data.camera'].dtype == torch.uint8
    assert state['data.state'].shape == (8 + 2, 2) and state['data.state'].dtype == torch.float32
    stored = sum(t.nbytes for name, t in state.items() if name.startswith(('data.', 'joints', 'action')))
    assert stored == memory.nbytes


def test_an_empty_memory_can_be_stored_and_can_not_be_drawn_from() -> None:
    memory = ObservationMemory(ObservationMemorySettings())
    memory.load(state_bytes.unpack(state_bytes.pack(memory.state()), 'memory'))
    assert len(memory) == memory.nbytes == memory.window_count(1) == 0 and not list(memory.experiences())
    with pytest.raises(ValueError, match='draw of 1'):
        memory.transitions(1, np.random.default_rng(0))
    memory.add(take(1, 1, 0))
    assert len(memory) == 1
    memory.clear()
    assert len(memory) == memory.nbytes == 0


def test_a_damaged_state_is_refused_and_changes_nothing() -> None:
    memory = filled('nnn', ObservationMemorySettings())
    state = memory.state()
    for damaged in (
        {**state, 'data.camera': state['data.camera'][:-1]},
        {**state, 'facts': state['facts'][1:]},
        {name: tensor for name, tensor in state.items() if name != 'joints'},
    ):
        with pytest.raises(UserError, match='memory'), state_bytes.refusing('memory of the model'):
            memory.load(damaged)
    assert len(memory) == 3 and memory.window_count(3) == 1


def test_a_state_beyond_the_limits_loses_its_oldest() -> None:
    memory = ObservationMemory(ObservationMemorySettings(capacity=2))
    memory.load(filled('nnenn', ObservationMemorySettings()).state())
    assert [e.sequence for e in memory.experiences()] == [4, 5]


def test_a_transition_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    memory = filled('nn', ObservationMemorySettings(max_bytes=5 * STEP_BYTES))
    with pytest.raises(UserError, match=r'camera after uint8 \(4, 4, 3\).*found .*camera after uint8 \(5, 5, 3\)'):
        memory.add(take(9, 3, 0, side=5))
    other = take(4, 3, 0)
    without = Observation({'state': other.transition.after.readings['state']})
    with pytest.raises(UserError, match='found none'):
        memory.add(replace(other, transition=replace(other.transition, after=without)))
    assert len(memory) == 2 and memory.nbytes == 2 * STEP_BYTES + OBSERVATION_BYTES
    with pytest.raises(UserError, match=f'at least {STEP_BYTES + OBSERVATION_BYTES}, .*found 100'):
        ObservationMemory(ObservationMemorySettings(max_bytes=100)).add(take(1, 1, 0))


def test_balanced_keeps_the_newest_steps_of_every_episode() -> None:
    memory = filled('nnnnnennnnennnnnnn', ObservationMemorySettings(capacity=9, keep='balanced'))
    assert [e.sequence for e in memory.experiences()] == [3, 4, 5, 8, 9, 10, 16, 17, 18]
    assert memory.window_count(3) == 3


def test_a_batch_has_the_shapes_and_dtypes_of_its_senses() -> None:
    memory = filled('nnnn', ObservationMemorySettings())
    batch = memory.transitions(3, np.random.default_rng(1)).to('cpu')
    assert batch.before['camera'].shape == (3, SIDE, SIDE, 3) and batch.after['camera'].dtype == torch.uint8
    assert torch.equal(batch.after['state'][:, 0], batch.before['state'][:, 0] + 1)
    assert batch.action_applied.shape == batch.joints_next.shape == (3, 1) and batch.joints.dtype == torch.float32
    assert batch.reward.shape == (3,) and batch.terminal.dtype == batch.truncated.dtype == torch.bool
    windows = memory.windows(1, 4, np.random.default_rng(1)).to('cpu')
    assert windows.observations['camera'].shape == (1, 5, SIDE, SIDE, 3)
    assert windows.action_commanded.shape == (1, 4, 1) and windows.terminal.shape == (1, 4)


def test_nbytes_is_what_the_process_gives_for_images() -> None:
    """Nothing is held twice, before and after loading: not by sharing buffers of messages either."""
    side, count = 64, 200
    image = side * side * 3

    def add_all(memory: ObservationMemory) -> None:
        last = None
        for number in range(count):
            made = take(number, number + 1, 0, side=side)
            buffer = np.zeros((2, side, side, 3), np.uint8)  # a view of a larger buffer must not keep it
            after = replace(made.transition.after.readings['camera'], data=buffer[1])
            readings = {**made.transition.after.readings, 'camera': after}
            before = last or made.transition.before
            last = Observation(readings)
            memory.add(replace(made, transition=replace(made.transition, before=before, after=last)))

    memory = ObservationMemory(ObservationMemorySettings())
    tracemalloc.start()
    add_all(memory)
    taken = tracemalloc.get_traced_memory()[0]
    state = memory.state()
    before_loading = tracemalloc.get_traced_memory()[0]
    loaded = ObservationMemory(ObservationMemorySettings())
    loaded.load(state)
    taken_by_loaded = tracemalloc.get_traced_memory()[0] - before_loading
    tracemalloc.stop()
    assert memory.nbytes == loaded.nbytes >= (count + 1) * image
    for found in (taken, taken_by_loaded):
        assert memory.nbytes < found < memory.nbytes + 4000 * count, f'{(found - memory.nbytes) / count} a transition'


def spread(steps_of_episodes: list[int], capacity: int, segment: int = 4) -> ObservationMemory:
    memory = ObservationMemory(ObservationMemorySettings(capacity=capacity, keep='spread', segment=segment))
    number = 0
    for episode, steps in enumerate(steps_of_episodes):
        for _ in range(steps):
            memory.add(take(number, number, episode, boundary=number == 0))
            number += 1
    return memory


def test_spread_keeps_whole_segments_of_all_times_of_an_endless_stream() -> None:
    memory = spread([2000], 100)
    kept = [e.sequence for e in memory.experiences()]
    assert 96 <= len(memory) <= 100 and memory.window_count(4) == len(kept) // 4
    assert all(kept[i : i + 4] == list(range(kept[i], kept[i] + 4)) for i in range(0, len(kept), 4))
    counts = np.histogram(kept, 4, (0, 2000))[0]
    assert counts.min() >= 8, 'each quarter of the stream is there'


def test_spread_keeps_as_much_of_a_short_episode_as_of_a_long_one() -> None:
    memory = spread([60, 1500, 400], 96)
    counts = Counter(e.episode for e in memory.experiences())
    assert len(counts) == 3 and max(counts.values()) - min(counts.values()) <= 8


def test_spread_goes_on_from_its_state_as_if_never_saved() -> None:
    whole, begun = spread([300], 40), spread([150], 40)
    other = ObservationMemory(ObservationMemorySettings(capacity=40, keep='spread', segment=4))
    other.load(state_bytes.unpack(state_bytes.pack(begun.state()), 'memory'))
    for number in range(150, 300):
        other.add(take(number, number, 0))
    assert [e.sequence for e in other.experiences()] == [e.sequence for e in whole.experiences()]
    assert other.nbytes == whole.nbytes == naive_bytes(whole)


def naive_bytes(memory: ObservationMemory) -> int:
    """Returns the bytes of what is held, each observation of a segment counted once."""
    steps = list(memory.experiences())
    begins = sum(i == 0 or e.sequence != steps[i - 1].sequence + 1 or i % 4 == 0 for i, e in enumerate(steps))
    return len(steps) * STEP_BYTES + begins * OBSERVATION_BYTES
