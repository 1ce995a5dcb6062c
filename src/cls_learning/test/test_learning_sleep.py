"""A sleep of the brain cls: which phases are skipped and why, its statistics, and how it is rolled back."""

from collections.abc import Callable
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cls_common.errors import UserError
from cls_learning import state_bytes
from cls_learning.brain import Goal, Progress, SleepRun, State


@pytest.fixture
def run(open_run: Callable[..., Any]) -> Any:
    """A run ten steps after its second sleep: every optimiser has moments."""
    return open_run().train(70)


def everything(consolidator: Any) -> State:
    """Returns all that a sleep may change, memory included, by part and name."""
    return {f'{part}/{name}': value for part, state in consolidator.state().items() for name, value in state.items()}


def learned(consolidator: Any) -> State:
    """Returns all of it but what the start of a sleep measures of scenes."""
    state: State = consolidator.learner_state() | consolidator.memory.state() | consolidator.holdout.state()
    return state


def assert_same(before: State, after: State) -> None:
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def sleep_of(run: Any, **steps: int) -> SleepRun:
    sleep_run: SleepRun = run.session.begin_sleep(run.learner.to_bytes(), Goal(steps))
    return sleep_run


def losses_of(sleep_run: SleepRun) -> list[Progress]:
    return list(sleep_run.run())


def test_phases_run_in_order_with_configured_steps(run: Any) -> None:
    progress = list(sleep_of(run).run())
    assert [(p.phase, p.step, p.steps) for p in progress] == [
        *[('sws', i, 4) for i in range(1, 5)],
        *[('rem', i, 4) for i in range(1, 5)],
        *[('tether', i, 3) for i in range(1, 4)],
    ]
    assert all(math.isfinite(p.loss) for p in progress)


def test_a_goal_chooses_steps_by_phase(run: Any) -> None:
    """0: as configured; -1: skipped; n: n steps."""
    sleep_run = sleep_of(run, sws=2, rem=-1, tether=0)
    list(sleep_run.run())
    assert sleep_run.statistics.steps == {'sws': 2, 'rem': 0, 'tether': 3}
    assert sleep_run.statistics.status == {'sws': 'ok', 'rem': 'skipped: not asked for', 'tether': 'ok'}
    assert sleep_run.statistics.text() == 'sws ok, rem skipped: not asked for, tether ok'


def test_the_order_of_phases_is_a_setting(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    run = open_run(settings=tools.recipe({'sleep.phases': 'rem sws', 'sleep.wake_steps_per_cycle': 500})).train(40)
    assert list(dict.fromkeys(p.phase for p in sleep_of(run).run())) == ['rem', 'sws']


def test_statistics_are_means_over_steps(run: Any) -> None:
    """Every name is there, with NaN for a skipped phase."""
    sleep_run = sleep_of(run, tether=-1)
    losses: dict[str, list[float]] = {}
    for p in sleep_run.run():
        losses.setdefault(p.phase, []).append(p.loss)
    means = sleep_run.statistics.means
    assert set(means) == {'avg_l_dyn', 'avg_l_sws', 'avg_l_ms', 'avg_l_rem', 'avg_tether_loss'}
    assert means['avg_l_sws'] == pytest.approx(sum(losses['sws']) / 4)
    assert means['avg_l_rem'] == pytest.approx(sum(losses['rem']) / 4)
    assert math.isnan(means['avg_tether_loss'])
    assert not sleep_run.diverged


@pytest.mark.parametrize(
    'steps, sws, rem',
    [
        (7, 'skipped: 7 transitions of 8 needed', 'skipped: 7 transitions of 8 needed'),
        (8, 'ok', 'skipped: 6 unbroken windows of 8 needed'),
        (10, 'ok', 'ok'),
    ],
)
def test_phases_with_too_little_memory_are_skipped(
    tools: SimpleNamespace, open_run: Callable[..., Any], steps: int, sws: str, rem: str
) -> None:
    """With a batch of 8, SWS and Tether need 8 transitions, REM 8 windows of 3."""
    run = open_run(settings=tools.recipe({'memory.kind': 'fifo'})).train(steps)
    sleep_run = sleep_of(run)
    before = learned(run.session.consolidator)
    done = list(sleep_run.run())
    assert sleep_run.statistics.status == {'sws': sws, 'rem': rem, 'tether': sws}
    if steps == 7:
        assert done == [] and not sleep_run.diverged
        assert_same(before, learned(run.session.consolidator))


def test_rem_needs_one_entry_more_than_its_steps(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    """At least max(batch, K + 1)."""
    run = open_run(settings=tools.recipe({'sleep.rem_k': 20, 'memory.piece_length': 40})).train(20)
    sleep_run = sleep_of(run)
    list(sleep_run.run())
    assert sleep_run.statistics.status['rem'] == 'skipped: 20 transitions of 21 needed'


def test_segments_are_long_enough_for_a_window_of_rem(tools: SimpleNamespace, open_run: Callable[..., Any]) -> None:
    run = open_run(settings=tools.recipe({'sleep.rem_k': 6, 'memory.piece_length': 1})).train(60)
    assert run.session.consolidator.memory.window_count(6) >= 10 > run.session.consolidator.memory.window_count(7)


@pytest.mark.parametrize('kind', ['fifo', 'pieces'])
@pytest.mark.parametrize('average', [0.0, 0.9])
def test_a_sleep_stopped_at_any_step_can_be_rolled_back(
    tools: SimpleNamespace, open_run: Callable[..., Any], kind: str, average: float
) -> None:
    """Weights, averages, optimisers, normaliser and counters, bit by bit; the next sleep is not changed by it."""
    changes = {'memory.kind': kind, 'slow.average': average, 'fast.average': average}
    run = open_run(settings=tools.recipe(changes)).train(40)
    consolidator, handed_over = run.session.consolidator, run.learner.to_bytes()
    before, parts = everything(consolidator), consolidator.state()
    undisturbed = losses_of(sleep_of(run))
    for stop in range(12):
        consolidator.load(parts)
        sleep_run = sleep_of(run)
        for done, _ in enumerate(sleep_run.run()):
            if done == stop:
                break
        sleep_run.roll_back()
        assert_same(before, everything(consolidator))
        assert run.learner.to_bytes() == handed_over, 'the online learner is not changed'
        assert losses_of(sleep_of(run)) == undisturbed


def test_rolling_back_the_first_sleep_leaves_no_moments_of_optimisers(open_run: Callable[..., Any]) -> None:
    run = open_run().train(20)
    before = everything(run.session.consolidator)
    assert not any(
        name.startswith(('consolidator/slow.sleep_optimizer', 'consolidator/tether.optimizer')) for name in before
    )
    sleep_run = sleep_of(run)
    list(sleep_run.run())
    sleep_run.roll_back()
    assert_same(before, everything(run.session.consolidator))


def test_a_finished_sleep_can_still_be_rolled_back(run: Any) -> None:
    """For a fast_learner that no longer answers: the snapshot of the normaliser and the motion of scenes too."""
    consolidator = run.session.consolidator
    before = everything(consolidator)
    sleep_run = sleep_of(run)
    list(sleep_run.run())
    sleep_run.finish()
    assert consolidator.static_scenes.motions.keys() == {1}
    sleep_run.roll_back()
    assert_same(before, everything(consolidator))


def test_after_a_sleep_a_new_cycle_begins(open_run: Callable[..., Any]) -> None:
    """Wake counter 0, cycle + 1, saved; Fast learns again."""
    run = open_run().train(29)
    learner = run.learner
    assert (learner.cycles, learner.wake_steps_in_cycle, run.session.cycles, run.folder.generation) == (0, 29, 0, 0)
    run.train(1)
    assert (learner.cycles, learner.wake_steps_in_cycle, run.session.cycles, run.folder.generation) == (1, 0, 1, 1)
    assert learner.total_steps == 30 and learner.episode == 1
    weights = learner.fast.state()
    run.train(1)
    assert learner.wake_steps_in_cycle == 1
    assert not torch.equal(weights['fast.raw.layers.0.weight'], learner.fast.state()['fast.raw.layers.0.weight'])


@pytest.mark.parametrize('interval, generations', [(0, 0), (1, 3), (2, 1), (3, 1)])
def test_the_save_interval_counts_sleeps(
    tools: SimpleNamespace, open_run: Callable[..., Any], interval: int, generations: int
) -> None:
    """0: only on request."""
    run = open_run(settings=tools.recipe({'save_interval': interval})).train(90)
    assert run.session.cycles == 3 and run.folder.generation == generations


def test_sleep_is_wanted_after_each_multiple_of_a_cycle(tools: SimpleNamespace) -> None:
    """A sleep that was refused is wanted again one cycle later, not at every step."""
    learner = tools.online_learner()
    due = []
    for step, transition in enumerate(tools.PanTiltWorld().walk(95), 1):
        learner.learn(transition)
        if learner.wants_sleep:
            due.append(step)
    assert due == [30, 60, 90]


def test_a_sleep_uses_the_normaliser_of_the_online_learner(open_run: Callable[..., Any]) -> None:
    """The copy of the consolidator lacks experiences that were not received; sleep takes the original over."""
    run = open_run().train(20)
    for transition in run.world.walk(5):
        run.learner.learn(transition)
    consolidator, original = run.session.consolidator, run.learner.normalizer.state()
    before = everything(consolidator)
    assert not torch.equal(
        consolidator.normalizer.state()['normalizer.running_mean'], original['normalizer.running_mean']
    )
    sleep_run = sleep_of(run)
    assert_same(original, consolidator.normalizer.state())
    list(sleep_run.run())
    sleep_run.roll_back()
    assert_same(before, everything(consolidator))
    sleep_run = sleep_of(run)
    list(sleep_run.run())
    run.learner.load(sleep_run.finish())
    assert_same(run.learner.normalizer.state(), consolidator.normalizer.state())
    assert consolidator.normalizer.version == int(original['normalizer.version']) + 1


def test_a_sleep_that_diverges_is_reported(run: Any) -> None:
    """Numbers too large to be squared: every optimiser step is refused, and the sleep counts as diverged."""
    consolidator = run.session.consolidator
    state = consolidator.memory.state()
    state['memory.z_next'][:] = 3e38
    state['memory.first_z'][:] = -3e38
    consolidator.memory.load(state)
    consolidator.normalizer._is_identity = True
    before = consolidator.slow.state()
    sleep_run = sleep_of(run, rem=-1, tether=-1)
    consolidator.online_copy.normalizer._is_identity = True
    losses = [p.loss for p in sleep_run.run()]
    assert all(map(math.isnan, losses)) and sleep_run.diverged and sleep_run.statistics.refused == 4
    assert_same(before, consolidator.slow.state())


def test_an_unknown_phase_is_refused_and_changes_nothing(run: Any) -> None:
    consolidator = run.session.consolidator
    before = learned(consolidator)
    sleep = consolidator.settings.sleep
    object.__setattr__(sleep, 'phases', 'sws nap')
    try:
        with pytest.raises(UserError, match=r"'nap'.*rem, sws, tether"):
            list(sleep_of(run).run())
        assert_same(before, learned(consolidator))
    finally:
        object.__setattr__(sleep, 'phases', 'sws rem tether')


def test_a_repeated_sleep_has_the_same_losses(run: Any) -> None:
    results = []
    for _ in range(2):
        sleep_run = sleep_of(run)
        results.append([p.loss for p in sleep_run.run()])
        sleep_run.roll_back()
    assert results[0] == results[1]


def test_a_damaged_online_learner_starts_no_sleep(run: Any) -> None:
    before = everything(run.session.consolidator)
    data = run.learner.to_bytes()
    for bad in (b'', data[:-1], b'\x80\x04N.', state_bytes.pack({})):
        with pytest.raises(UserError):
            run.session.begin_sleep(bad, Goal())
    assert_same(before, everything(run.session.consolidator))
