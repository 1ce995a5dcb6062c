"""A night: what is skipped and why, what it says of itself, and how it is taken back (rows 000-030 to 000-050)."""

from collections.abc import Callable
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cls_common.errors import UserError
from cls_learning import state_bytes
from cls_learning.brain import Goal, Progress
from cls_learning.brains.cls.consolidator import Night
from cls_learning.learners.optimisation import State


@pytest.fixture
def life(open_life: Callable[..., Any]) -> Any:
    """Past its second night, ten steps into the day: every optimiser has moments."""
    return open_life().live(70)


def everything(half: Any) -> State:
    """All that a night may touch, memory included."""
    state: State = half.state() | half.memory.state()
    return state


def assert_same(before: State, after: State) -> None:
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def night_of(life: Any, **steps: int) -> Night:
    night: Night = life.session.begin_sleep(life.waking.to_bytes(), Goal(steps))
    return night


def losses_of(night: Night) -> list[Progress]:
    return list(night.run())


def test_phases_run_in_order_with_configured_steps(life: Any) -> None:
    """Rows 000-030, 000-033, 000-037, 000-043."""
    progress = list(night_of(life).run())
    assert [(p.phase, p.step, p.steps) for p in progress] == [
        *[('sws', i, 4) for i in range(1, 5)], *[('rem', i, 4) for i in range(1, 5)],
        *[('tether', i, 3) for i in range(1, 4)],
    ]  # fmt: skip
    assert all(math.isfinite(p.loss) for p in progress)


def test_the_goal_decides_on_steps(life: Any) -> None:
    """0 as configured, -1 not at all, n so many."""
    night = night_of(life, sws=2, rem=-1, tether=0)
    list(night.run())
    assert night.statistics.steps == {'sws': 2, 'rem': 0, 'tether': 3}
    assert night.statistics.status == {'sws': 'ok', 'rem': 'skipped: not asked for', 'tether': 'ok'}
    assert night.statistics.text() == 'sws ok, rem skipped: not asked for, tether ok'


def test_the_order_is_a_setting(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    life = open_life(settings=tools.recipe({'sleep.phases': 'rem sws', 'sleep.wake_steps_per_cycle': 500})).live(40)
    assert list(dict.fromkeys(p.phase for p in night_of(life).run())) == ['rem', 'sws']


def test_statistics_are_means_over_steps(life: Any) -> None:
    """Row 000-050: every key is there; of what was skipped, NaN."""
    night = night_of(life, tether=-1)
    losses: dict[str, list[float]] = {}
    for p in night.run():
        losses.setdefault(p.phase, []).append(p.loss)
    means = night.statistics.means
    assert set(means) == {'avg_l_dyn', 'avg_l_sws', 'avg_l_ms', 'avg_l_rem', 'avg_tether_loss'}
    assert means['avg_l_sws'] == pytest.approx(sum(losses['sws']) / 4)
    assert means['avg_l_rem'] == pytest.approx(sum(losses['rem']) / 4)
    assert math.isnan(means['avg_tether_loss'])
    assert not night.diverged


@pytest.mark.parametrize(
    'steps, sws, rem',
    [
        (7, 'skipped: 7 transitions of 8 needed', 'skipped: 7 transitions of 8 needed'),
        (8, 'ok', 'skipped: 6 unbroken windows of 8 needed'),
        (10, 'ok', 'ok'),
    ],
)
def test_too_little_to_sleep_on(
    tools: SimpleNamespace, open_life: Callable[..., Any], steps: int, sws: str, rem: str
) -> None:
    """Row 000-046, with a batch of 8: SWS and Tether need 8 transitions, REM 8 windows of 3."""
    life = open_life(settings=tools.recipe({'memory.kind': 'fifo'})).live(steps)
    night = night_of(life)
    before = everything(life.session.consolidator)
    done = list(night.run())
    assert night.statistics.status == {'sws': sws, 'rem': rem, 'tether': sws}
    if steps == 7:
        assert done == [] and not night.diverged
        assert_same(before, everything(life.session.consolidator))


def test_rem_needs_one_entry_more_than_its_steps(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    """Row 000-046: max(batch, K + 1)."""
    life = open_life(settings=tools.recipe({'sleep.rem_k': 20, 'memory.piece_length': 40})).live(20)
    night = night_of(life)
    list(night.run())
    assert night.statistics.status['rem'] == 'skipped: 20 transitions of 21 needed'


def test_pieces_are_long_enough_for_a_dream(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    life = open_life(settings=tools.recipe({'sleep.rem_k': 6, 'memory.piece_length': 1})).live(60)
    assert life.session.consolidator.memory.window_count(6) >= 10 > life.session.consolidator.memory.window_count(7)


@pytest.mark.parametrize('kind', ['fifo', 'pieces'])
@pytest.mark.parametrize('average', [0.0, 0.9])
def test_a_night_stopped_anywhere_can_be_taken_back(
    tools: SimpleNamespace, open_life: Callable[..., Any], kind: str, average: float
) -> None:
    """Weights, averages, optimisers, normaliser and counters, bit by bit, and the next night is as if it never was."""
    changes = {'memory.kind': kind, 'slow.average': average, 'fast.average': average}
    life = open_life(settings=tools.recipe(changes)).live(40)
    half, handed_over = life.session.consolidator, life.waking.to_bytes()
    before = everything(half)
    undisturbed = losses_of(night_of(life))
    for stop in range(12):
        half.load(before)
        night = night_of(life)
        for done, _ in enumerate(night.run()):
            if done == stop:
                break
        night.roll_back()
        assert_same(before, everything(half))
        assert life.waking.to_bytes() == handed_over, 'Fast was never touched'
        assert losses_of(night_of(life)) == undisturbed


def test_before_the_first_night_optimisers_have_no_moments_to_give_back(open_life: Callable[..., Any]) -> None:
    life = open_life().live(20)
    before = everything(life.session.consolidator)
    assert not any(name.startswith(('slow.sleep_optimizer', 'tether.optimizer')) for name in before)
    night = night_of(life)
    list(night.run())
    night.roll_back()
    assert_same(before, everything(life.session.consolidator))


def test_a_finished_night_can_still_be_taken_back(life: Any) -> None:
    """When Fast does not answer any more: the normaliser's snapshot and what was seen of the scenes too."""
    half = life.session.consolidator
    before, remembered = everything(half), half.memory_to_bytes()
    night = night_of(life)
    list(night.run())
    night.finish()
    assert half.stillness.motions.keys() == {1}
    night.roll_back()
    assert_same(before, everything(half))
    assert half.memory_to_bytes() == remembered


def test_after_a_night_a_new_day_begins(open_life: Callable[..., Any]) -> None:
    """Row 000-047: wake counter 0, cycle + 1, saved; Fast unfrozen and learning."""
    life = open_life().live(29)
    waking = life.waking
    assert (waking.cycles, waking.wake_steps_in_cycle, life.session.cycles, life.folder.generation) == (0, 29, 0, 0)
    life.live(1)
    waking = life.waking
    assert (waking.cycles, waking.wake_steps_in_cycle, life.session.cycles, life.folder.generation) == (1, 0, 1, 1)
    assert waking.total_steps == 30 and waking.episode == 1
    weights = waking.fast.state()
    life.live(1)
    assert waking.wake_steps_in_cycle == 1
    assert not torch.equal(weights['fast.raw.layers.0.weight'], waking.fast.state()['fast.raw.layers.0.weight'])


@pytest.mark.parametrize('interval, generations', [(0, 0), (1, 3), (2, 1), (3, 1)])
def test_saves_come_every_so_many_nights(
    tools: SimpleNamespace, open_life: Callable[..., Any], interval: int, generations: int
) -> None:
    """Row 000-048; 0 means only when asked."""
    life = open_life(settings=tools.recipe({'save_interval': interval})).live(90)
    assert life.session.cycles == 3 and life.folder.generation == generations


def test_sleep_is_due_after_a_cycle_and_again_after_each_further_one(tools: SimpleNamespace) -> None:
    """Row 000-028; a night that was refused is asked for a cycle later, not at every step."""
    half = tools.waking()
    due = []
    for step, transition in enumerate(tools.Body().walk(95), 1):
        half.learn(transition)
        if half.wants_sleep:
            due.append(step)
    assert due == [30, 60, 90]


def test_a_night_sees_the_normaliser_that_fast_used(open_life: Callable[..., Any]) -> None:
    """Experiences that never arrived are missing from Slow's copy: the night gets the original, and gives it back."""
    life = open_life().live(20)
    for transition in life.body.walk(5):
        life.waking.learn(transition)
    half, original = life.session.consolidator, life.waking.normalizer.state()
    before = everything(half)
    assert not torch.equal(half.normalizer.state()['normalizer.running_mean'], original['normalizer.running_mean'])
    night = night_of(life)
    assert_same(original, half.normalizer.state())
    list(night.run())
    night.roll_back()
    assert_same(before, everything(half))
    night = night_of(life)
    list(night.run())
    life.waking.load_bytes(night.finish())
    assert_same(life.waking.normalizer.state(), half.normalizer.state())
    assert half.normalizer.version == int(original['normalizer.version']) + 1


def test_what_diverges_says_so(life: Any) -> None:
    """A memory with a number too large to square: refused step by step, and the night is to be taken back."""
    half = life.session.consolidator
    state = half.memory.state()
    state['memory.z_next'][:] = 3e38
    state['memory.first_z'][:] = -3e38
    half.memory.load(state)
    half.normalizer._is_identity = True
    before = half.slow.state()
    night = night_of(life, rem=-1, tether=-1)
    night._waking.normalizer._is_identity = True
    losses = [p.loss for p in night.run()]
    assert all(map(math.isnan, losses)) and night.diverged and night.statistics.refused == 4
    assert_same(before, half.slow.state())


def test_an_unknown_phase_is_refused_before_anything_is_done(life: Any) -> None:
    half = life.session.consolidator
    before = everything(half)
    sleep = half.settings.sleep
    object.__setattr__(sleep, 'phases', 'sws nap')
    try:
        with pytest.raises(UserError, match=r"'nap'.*rem, sws, tether"):
            list(night_of(life).run())
        assert_same(before, everything(half))
    finally:
        object.__setattr__(sleep, 'phases', 'sws rem tether')


def test_the_same_night_twice_is_the_same(life: Any) -> None:
    results = []
    for _ in range(2):
        night = night_of(life)
        results.append([p.loss for p in night.run()])
        night.roll_back()
    assert results[0] == results[1]


def test_a_damaged_waking_half_starts_no_night(life: Any) -> None:
    before = everything(life.session.consolidator)
    data = life.waking.to_bytes()
    for bad in (b'', data[:-1], b'\x80\x04N.', state_bytes.pack({})):
        with pytest.raises(UserError):
            life.session.begin_sleep(bad, Goal())
    assert_same(before, everything(life.session.consolidator))
