"""Contract suite of every replay memory, and the ring and reservoir of the online learner.

The embedding of a record is its episode and step, so that a window across a gap shows itself.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from hypothesis import example, given, settings, strategies
import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_learning import memory
from cls_learning.config import MemorySettings
from cls_learning.memory.contract import Record, ReplayMemory
from cls_learning.memory.ring_reservoir import RingReservoir
from cls_learning.memory.segment_buffer import SegmentBuffer
from cls_learning.registries import MEMORIES

KINDS = MEMORIES.names()


def record(episode: int, sequence: int) -> Record:
    return Record(
        z=np.array([episode, sequence], np.float32),
        z_next=np.array([episode, sequence + 1], np.float32),
        action=np.array([sequence], np.float32),
        commanded=np.array([sequence + 0.5], np.float32),
        joints=np.array([sequence * 0.1]),
        time=sequence * 10,
        episode=episode,
        sequence=sequence,
    )


def make_records(events: Iterable[str]) -> list[Record]:
    """Makes consecutive records: 'n' the next one, 'e' the first of a new episode, 'g' one after missing steps."""
    records, episode, sequence = [], 0, 0
    for event in events:
        sequence += 3 if event == 'g' else 1
        episode += event == 'e'
        records.append(record(episode, sequence))
    return records


def make(kind: str, capacity: int, piece_length: int = 4) -> ReplayMemory:
    settings = MemorySettings(kind=kind, piece_length=piece_length)
    object.__setattr__(settings, 'capacity', capacity)  # below what a recipe may ask for
    return memory.make(settings, seed=3)


def filled(kind: str, records: Iterable[Record], capacity: int, piece_length: int = 4) -> ReplayMemory:
    own = make(kind, capacity, piece_length)
    for item in records:
        own.add(item)
    return own


def held(own: ReplayMemory) -> list[int]:
    """Sequences of all that is held, drawn by drawing everything."""
    if not len(own):
        return []
    return own.transitions(len(own), np.random.default_rng(0)).action[:, 0].int().tolist()


event_strings = strategies.text('nnnnneg', min_size=1, max_size=120)


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=60)
@given(
    events=event_strings,
    capacity=strategies.integers(1, 40),
    length=strategies.integers(1, 12),
    steps=strategies.integers(1, 5),
)
@example(events='n' * 30, capacity=5, length=12, steps=3)
def test_windows_never_cross_an_episode_or_a_gap(
    kind: str, events: str, capacity: int, length: int, steps: int
) -> None:
    """Over every window held and not a sample of them."""
    own = filled(kind, make_records(events), capacity, length)
    count = own.window_count(steps)
    if count == 0:
        return
    windows = own.windows(count, steps, np.random.default_rng(0))
    assert windows.z.shape == (count, steps + 1, 2) and windows.action.shape == (count, steps, 1)
    assert (windows.z[:, :, 0] == windows.z[:, :1, 0]).all(), 'an episode was crossed'
    assert (windows.z[:, 1:, 1] - windows.z[:, :-1, 1] == 1).all(), 'a gap was crossed'
    assert (windows.action[:, :, 0] == windows.z[:, :-1, 1]).all()
    assert len(set(windows.z[:, 0, 1].tolist())) == count, 'drawn twice'


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=60)
@given(events=event_strings, capacity=strategies.integers(1, 40), length=strategies.integers(1, 12))
def test_a_memory_holds_at_most_its_capacity_and_always_the_newest(
    kind: str, events: str, capacity: int, length: int
) -> None:
    own = make(kind, capacity, length)
    for number, item in enumerate(make_records(events), 1):
        own.add(item)
        assert min(number, 1) <= len(own) <= min(number, capacity)
        assert item.sequence in held(own), 'the newest is kept'
    assert len(set(held(own))) == len(own), 'nothing is held twice'
    assert own.window_count(1) == len(own)


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=40)
@given(
    events=event_strings,
    capacity=strategies.integers(1, 40),
    length=strategies.integers(1, 12),
    cut=strategies.integers(0, 60),
)
def test_a_memory_that_was_stored_and_loaded_behaves_as_before(
    kind: str, events: str, capacity: int, length: int, cut: int
) -> None:
    records = make_records(events)
    whole, stored = make(kind, capacity, length), make(kind, capacity, length)
    for number, item in enumerate(records):
        if number == cut:
            state = {name: tensor.clone() for name, tensor in stored.state().items()}
            stored = make(kind, capacity, length)
            stored.load(state)
        whole.add(item)
        stored.add(item)
    assert len(stored) == len(whole)
    for steps in (1, 3):
        count = whole.window_count(steps)
        assert stored.window_count(steps) == count
        if count:
            a, b = (m.windows(count, steps, np.random.default_rng(5)) for m in (whole, stored))
            assert torch.equal(a.z, b.z) and torch.equal(a.action, b.action)
    a_state, b_state = whole.state(), stored.state()
    assert a_state.keys() == b_state.keys()
    assert all(torch.equal(a_state[name], b_state[name]) for name in a_state)


@pytest.mark.parametrize('kind', KINDS)
def test_records_survive_a_round_trip(kind: str) -> None:
    """An embedding that two neighbours share is stored once and comes back for both."""
    records = make_records('nnnenngn')
    own = filled(kind, records, 100)
    state = own.state()
    assert len(state['memory.first_z']) == 3, 'one for each unbroken stretch'
    own.load(state)
    batch = own.transitions(len(records), np.random.default_rng(0))
    by_sequence = {int(a): i for i, a in enumerate(batch.action[:, 0])}
    for item in records:
        i = by_sequence[item.sequence]
        assert np.array_equal(batch.z[i], item.z) and np.array_equal(batch.z_next[i], item.z_next)
        assert np.array_equal(batch.joints[i], item.joints.astype(np.float32))
    assert all(t.dtype == torch.float32 for t in (batch.z, batch.action, batch.z_next, batch.joints))
    keys = sorted(state['memory.keys'].tolist(), key=lambda key: key[2])
    assert keys == [[r.time, r.episode, r.sequence] for r in records]
    assert sorted(state['memory.commanded'][:, 0].tolist()) == [r.sequence + 0.5 for r in records]


@pytest.mark.parametrize('kind', KINDS)
def test_an_empty_memory_can_be_stored(kind: str) -> None:
    own = make(kind, 10)
    other = make(kind, 10)
    other.load(own.state())
    assert len(other) == 0 and other.window_count(3) == 0


@pytest.mark.parametrize('kind', KINDS)
def test_records_of_a_robot_without_joints_are_stored(kind: str) -> None:
    own = make(kind, 10)
    for item in make_records('nnn'):
        own.add(Record(**{**vars(item), 'joints': np.zeros(0)}))
    own.load(own.state())
    assert own.transitions(3, np.random.default_rng(0)).joints.shape == (3, 0)


@pytest.mark.parametrize('kind', KINDS)
def test_draws_are_uniform(kind: str) -> None:
    own = filled(kind, make_records('nnnnnnnennngnn'), 100)
    counts: Counter[int] = Counter()
    generator = np.random.default_rng(0)
    for _ in range(600):
        counts.update(own.transitions(7, generator).action[:, 0].int().tolist())
    assert len(counts) == 14
    assert max(counts.values()) < 1.25 * min(counts.values())  # 300 +- 17 each


def test_fifo_drops_the_oldest() -> None:
    own = filled('fifo', make_records('n' * 30), 12)
    assert sorted(held(own)) == list(range(19, 31))


def test_segments_are_balanced_over_episodes() -> None:
    """A long episode does not displace a short one, and only whole segments are removed."""
    events = 'n' * 200 + ('e' + 'n' * 19) + ('e' + 'n' * 199)
    own = filled('pieces', make_records(events), 60)
    records = {r.sequence: r for r in make_records(events)}
    episodes = Counter(records[s].episode for s in held(own))
    assert len(own) == 60
    assert episodes[1] == 20, 'the short one is whole'
    assert abs(episodes[0] - episodes[2]) <= 8  # two segments: an incomplete one is not removed
    # All windows of 3 that segments of 4 can hold: no segment was split.
    assert own.window_count(3) == 60 // 4 * 2


def test_segments_longer_than_the_memory_stay_within_its_capacity() -> None:
    own = filled('pieces', make_records('n' * 100), 8, piece_length=50)
    assert 1 <= len(own) <= 8


def test_removal_depends_on_the_seed_alone() -> None:
    kept = []
    for seed in (1, 1, 2):
        own = SegmentBuffer(40, 4, seed)
        for item in make_records('n' * 300):
            own.add(item)
        kept.append(held(own))
    assert kept[0] == kept[1] != kept[2]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match='lifo'):
        MemorySettings(kind='lifo')


def recent(ring: int, reservoir: int, steps: int, seed: int = 0) -> RingReservoir:
    own = RingReservoir(ring, reservoir, seed)
    for item in make_records('n' * steps):
        own.add(item)
    return own


@settings(max_examples=60)
@given(
    ring=strategies.integers(1, 20),
    reservoir=strategies.integers(0, 20),
    steps=strategies.integers(1, 80),
    asked=strategies.tuples(strategies.integers(0, 20), strategies.integers(0, 20)),
)
def test_a_minibatch_has_the_newest_first(ring: int, reservoir: int, steps: int, asked: tuple[int, int]) -> None:
    own = recent(ring, reservoir, steps)
    sequences = own.minibatch(*asked, np.random.default_rng(0)).action[:, 0].int().tolist()
    assert sequences[0] == steps
    assert len(set(sequences)) == len(sequences), 'without replacement'
    in_ring = min(ring, steps)
    left = steps - in_ring
    older = [s for s in sequences if s <= left]
    wanted = asked if left and reservoir else (sum(asked), 0)
    assert len(sequences) - 1 - len(older) == min(wanted[0], in_ring - 1)
    assert len(older) == min(wanted[1], left, reservoir)
    assert len(own) == in_ring + min(left, reservoir)


def test_the_reservoir_gives_equal_chances() -> None:
    """Of 100 steps that left the ring, 10 are kept, each with the same chance (Vitter 1985)."""
    counts = np.zeros(101)
    for seed in range(400):
        own = recent(5, 10, 105, seed)
        kept = own.sample(15, np.random.default_rng(0)).action[:, 0].int().tolist()
        assert sorted(kept)[-5:] == [101, 102, 103, 104, 105]
        counts[sorted(kept)[:10]] += 1
    thirds = [counts[1:34].mean(), counts[34:67].mean(), counts[67:].mean()]
    assert thirds == pytest.approx([40, 40, 40], abs=6)


def test_a_ring_and_reservoir_that_were_stored_and_loaded_behave_as_before() -> None:
    whole, stored = recent(7, 5, 30), recent(7, 5, 30)
    copy = RingReservoir(7, 5, 0)
    copy.load({name: tensor.clone() for name, tensor in stored.state().items()})
    for item in make_records('n' * 90)[30:]:
        whole.add(item)
        copy.add(item)
    a, b = whole.state(), copy.state()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_sample_is_never_larger_than_the_memory() -> None:
    own: Any = recent(4, 4, 3)
    assert own.sample(16, np.random.default_rng(0)).z.shape == (3, 2)


@settings(max_examples=60)
@given(
    events=event_strings,
    ring=strategies.integers(1, 12),
    reservoir=strategies.integers(0, 12),
    context=strategies.integers(0, 4),
    cut=strategies.integers(0, 120),
)
def test_histories_have_no_gap_and_are_complete(events: str, ring: int, reservoir: int, context: int, cut: int) -> None:
    """Of the ring and of the reservoir, also after a round trip: all steps before, up to `context`."""
    records = make_records(events)
    own = RingReservoir(ring, reservoir, 0, context)
    for number, item in enumerate(records):
        if number == cut:
            state = {name: tensor.clone() for name, tensor in own.state().items()}
            own = RingReservoir(ring, reservoir, 0, context)
            own.load(state)
        own.add(item)
    by_sequence = {item.sequence: item for item in records}
    for batch in (own.minibatch(20, 20, np.random.default_rng(0)), own.sample(40, np.random.default_rng(0))):
        if not context:
            assert batch.history is None
            continue
        assert batch.history is not None and batch.history.z.shape == (len(batch.z), context, 2)
        for row, (episode, sequence) in enumerate(batch.z.int().tolist()):
            expected = []
            while (
                len(expected) < context and sequence - 1 in by_sequence and by_sequence[sequence - 1].episode == episode
            ):
                sequence -= 1
                expected.append(sequence)
            known = batch.history.known[row]
            assert known.tolist() == [False] * (context - len(expected)) + [True] * len(expected)
            assert batch.history.z[row, known, 1].int().tolist() == expected[::-1]
            assert batch.history.action[row, known, 0].int().tolist() == expected[::-1]


@pytest.mark.parametrize('kind', KINDS)
def test_transitions_come_with_the_steps_before_them(kind: str) -> None:
    own = filled(kind, make_records('nnnnnnnnennngnnnn'), 100)
    count = own.window_count(3)
    batch = own.transitions(count, np.random.default_rng(0), context=2)
    assert batch.history is not None and batch.history.known.all() and len(batch.z) == count
    assert (batch.history.z[:, :, 1] == batch.z[:, 1:] - torch.tensor([2.0, 1.0])).all()
    assert (batch.history.z[:, :, 0] == batch.z[:, :1]).all()
    assert (batch.history.action[:, :, 0] == batch.history.z[:, :, 1]).all()
