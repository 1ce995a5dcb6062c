"""Sleeps are judged on held-out transitions that no sleep trains on, and rolled back where they did harm."""

from collections import Counter
from collections.abc import Callable, Iterator
import csv
import os
from pathlib import Path
import signal
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from cls_learning import state_bytes
from cls_learning.brain import Goal, ONLINE, SleepRun, State
from cls_learning.brains.cls.consolidator import ClsConsolidator, MEMORY
from cls_learning.evaluation.gate import interval, judge, Scores
from cls_learning.evaluation.history import EvaluationHistory
from cls_learning.evaluation.holdout import affordable, Holdout, SEGMENT
from cls_learning.memory.contract import Record
from cls_learning.model_store.folder import ModelFolder
from cls_learning.nodes.jobs import SleepJob
from cls_learning.nodes.sleep_messages import to_result
from cls_learning.runtime.learner_session import LearnerSession
from cls_training.train_loop import SLEEP_KEPT, TrainLoop

GENERATOR = np.random.default_rng
# A memory large enough for a gate; its 200 held-out transitions need some four cycles.
JUDGED = {'memory.capacity': 1000, 'sleep.wake_steps_per_cycle': 250, 'sleep.sws_steps': 20, 'sleep.rem_steps': 10}


def record(sequence: int, episode: int = 1) -> Record:
    z, a = np.full(4, sequence, np.float32), np.zeros(2, np.float32)
    return Record(z, z + 1, a, a, np.zeros(2), sequence, episode, sequence)


def taken(holdout: Holdout, steps: range, episode: Callable[[int], int] = lambda _: 1) -> list[int]:
    return [s for s in steps if holdout.take(record(s, episode(s)))]


@pytest.mark.parametrize(
    'wanted, capacity, count',
    [
        (200, 5000, 200),
        (200, 800, 200),
        (200, 799, 0),
        (300, 1000, 250),
        (199, 5000, 0),
        (0, 5000, 0),
        (500, 5000, 500),
    ],
)
def test_holdout_is_at_most_a_quarter_of_the_memory_and_none_where_that_is_too_few(
    wanted: int, capacity: int, count: int
) -> None:
    assert affordable(wanted, capacity) == count


def test_holdout_split_is_deterministic_in_seed_and_sequence() -> None:
    first, second = Holdout(200, 7), Holdout(200, 7)
    assert taken(first, range(1, 3000)) == taken(second, range(1, 3000))
    assert taken(Holdout(200, 8), range(1, 3000)) != taken(Holdout(200, 7), range(1, 3000))


def test_less_than_a_quarter_is_held_out_at_first_and_a_falling_share_later() -> None:
    holdout = Holdout(200, 3)
    assert taken(holdout, range(1, 101)) == [], 'a first sleep may come soon'
    assert len(taken(holdout, range(101, 981))) == 200 == len(holdout)
    later = len(taken(holdout, range(981, 20_001)))
    # A segment of each block n with probability 40 / n: 5 x 40 x ln(22) expected.
    assert 450 < later < 750 and len(holdout) == 200


def test_every_step_is_held_out_with_the_same_chance() -> None:
    """Mean counts by quarter over 40 seeds; they would differ for a memory of the newest or of the oldest."""
    quarters = np.zeros(4)
    for seed in range(40):
        holdout = Holdout(200, seed)
        taken(holdout, range(1, 8001))
        quarters += np.bincount((holdout.names() - 1) // 2000, minlength=4)
    assert quarters / quarters.sum() == pytest.approx([0.25] * 4, abs=0.05)


def test_no_episode_keeps_more_than_its_share_while_others_have_less() -> None:
    """A long first room, then short ones: a new segment replaces one of the room with the most."""
    holdout = Holdout(200, 1)
    taken(holdout, range(1, 2001), lambda s: 1 if s <= 1000 else 1 + (s - 801) // 200)
    episodes = Counter(1 if k <= 1000 else 1 + (int(k) - 801) // 200 for k in holdout.names())
    # In the second half about 40 ln(2) segments were added, each in place of one of the first room.
    assert 8 <= episodes[1] <= 18 and len(episodes) == 6 and sum(episodes.values()) == 40


@given(steps=st.lists(st.integers(1, 40), max_size=80), seed=st.integers(0, 2**31))
def test_segments_are_whole_although_steps_were_lost(steps: list[int], seed: int) -> None:
    holdout = Holdout(200, seed)
    held = [s for s in np.cumsum(steps) if holdout.take(record(int(s)))]
    assert len(holdout) % SEGMENT == 0 and len(holdout) <= len(held)
    if len(holdout):
        z = holdout.batch().z[:, 0].numpy().reshape(-1, SEGMENT)
        assert (np.diff(z, axis=1) == 1).all() and (z[:, 0] == holdout.names()).all()


@pytest.mark.parametrize('stop', [3, 222, 1007, 1513])
def test_a_stored_holdout_continues_exactly(stop: int) -> None:
    """Also in the middle of a segment."""
    whole, first = Holdout(200, 5), Holdout(200, 5)
    everything = taken(whole, range(1, 2001))
    before = taken(first, range(1, stop + 1))
    second = Holdout(200, 5)
    second.load(first.state())
    assert before + taken(second, range(stop + 1, 2001)) == everything
    assert all(torch.equal(v, second.state()[k]) for k, v in whole.state().items())


def test_a_state_of_an_older_version_has_no_holdout() -> None:
    holdout = Holdout(200, 5)
    assert taken(holdout, range(1, 500))
    holdout.load({})
    assert len(holdout) == 0 and EvaluationHistory.load({}).sleeps == 0


def scores(errors: np.ndarray, exchanged: np.ndarray | None = None) -> Scores:
    return Scores(errors, errors if exchanged is None else exchanged, np.ones_like(errors))


def test_the_change_is_paired() -> None:
    """Transitions of very different difficulty, each a little worse: unpaired, noise would hide the difference."""
    before = GENERATOR(0).uniform(0.0, 2.0, (40, SEGMENT))
    after = before + 0.03
    verdict = judge((scores(before), scores(after)), (scores(before), scores(before)), 200, False, GENERATOR(1))
    assert verdict.rolled_back and verdict.change == pytest.approx(-0.03)
    assert verdict.low == pytest.approx(-0.03) and verdict.high == pytest.approx(-0.03)
    assert verdict.skill_after - verdict.skill_before == pytest.approx(-0.03)
    assert verdict.fast_before == verdict.fast_after


@pytest.mark.parametrize(
    'mean, noise, segments, is_open, rolled_back',
    [
        (-0.10, 0.1, 40, False, True),
        (-0.10, 0.1, 40, True, False),  # switched off
        (-0.015, 0.01, 40, False, False),  # sure, but too small
        (-0.03, 0.5, 40, False, False),  # larger, but not sure
        (-0.20, 0.1, 8, False, True),  # few, but sure
        (-0.08, 0.1, 8, False, False),  # of so few not sure
        (-0.90, 0.1, 7, False, False),  # too few segments
        (+0.10, 0.1, 40, False, False),
    ],
)
def test_rolled_back_where_harm_is_large_and_sure(
    mean: float, noise: float, segments: int, is_open: bool, rolled_back: bool
) -> None:
    # All five of a segment are equal: as independent samples they would give too narrow an interval.
    change = GENERATOR(2).normal(0.0, noise, (segments, 1)).repeat(SEGMENT, 1)
    change += mean - change.mean()
    before = np.ones((segments, SEGMENT))
    verdict = judge((scores(before), scores(before - change)), (scores(before),) * 2, 200, is_open, GENERATOR(3))
    assert verdict.change == pytest.approx(mean) and verdict.held_out == segments * SEGMENT
    assert verdict.rolled_back is rolled_back


@pytest.mark.parametrize('segments', [8, 18, 40])
def test_the_interval_covers_the_mean_in_95_percent(segments: int) -> None:
    draw = GENERATOR(4)
    found = (interval(draw.normal(0.1, 1.0, segments), draw) for _ in range(600))
    assert 0.93 < sum(low <= 0.1 <= high for _, low, high in found) / 600 < 0.98


def test_harm_to_fast_alone_is_rolled_back_too() -> None:
    before, worse = scores(np.ones((40, SEGMENT))), scores(np.full((40, SEGMENT), 1.1))
    verdict = judge((before, before), (before, worse), 200, False, GENERATOR(1))
    assert verdict.rolled_back and verdict.change == 0.0 and verdict.fast_change == pytest.approx(-0.1)
    assert 'fast -0.100 [-0.100, -0.100]' in verdict.text()


def test_the_first_sleep_is_judged_by_those_that_are_there(tools: SimpleNamespace) -> None:
    """A robot's first sleep comes after 500 steps, with 90 of 200 held-out transitions."""
    settings = tools.recipe(JUDGED | {'sleep.wake_steps_per_cycle': 500, 'sleep.learning_rate': 0.3})
    learner = tools.online_learner(settings, seed=7)
    consolidator = ClsConsolidator(settings, learner.robot, tools.Z_SIZE, 7)
    for transition in tools.PanTiltWorld().walk(500):
        consolidator.learn(learner.learn(transition))
    before = consolidator.learner_state()
    run, _ = slept(learner, consolidator)
    assert run.verdict.metrics['held_out'] == 90 and run.verdict.judged and run.verdict.rolled_back
    run.roll_back()
    assert consolidator.sleeps_rolled_back == 1
    assert_equal(consolidator.learner_state(), before)


def test_without_motion_nothing_is_judged() -> None:
    still = Scores(*(np.zeros((40, SEGMENT)),) * 3)
    verdict = judge((still, still), (still, still), 200, False, GENERATOR(0))
    assert np.isnan([verdict.change, verdict.skill_before]).all() and not verdict.rolled_back


@pytest.fixture(scope='module')
def parts(tools: SimpleNamespace) -> dict[str, bytes]:
    """The parts of a model after four sleeps, with 200 held-out transitions."""
    learner = tools.online_learner(tools.recipe(JUDGED), seed=7)
    consolidator = ClsConsolidator(learner.settings, learner.robot, tools.Z_SIZE, 7)
    for transition in tools.PanTiltWorld().walk(1005):
        consolidator.learn(learner.learn(transition))
        if learner.wants_sleep:
            learner.load(slept(learner, consolidator)[1])
    state = {ONLINE: learner.state(), **consolidator.state()}
    return {name: state_bytes.pack(part) for name, part in state.items()}


@pytest.fixture
def learners(parts: dict[str, bytes], tools: SimpleNamespace) -> Callable[..., tuple[Any, ClsConsolidator]]:
    """Makes online learner and consolidator of that model, with other settings of sleep."""

    def make(**changes: Any) -> tuple[Any, ClsConsolidator]:
        settings = tools.recipe(JUDGED | {f'sleep.{name}': value for name, value in changes.items()})
        learner = tools.online_learner(settings, seed=7)
        state = {name: state_bytes.unpack(data, name) for name, data in parts.items()}
        learner.load(state.pop(ONLINE))
        consolidator = ClsConsolidator(settings, learner.robot, tools.Z_SIZE, 7)
        consolidator.load(state)
        return learner, consolidator

    return make


def slept(learner: Any, consolidator: ClsConsolidator) -> tuple[SleepRun, State]:
    run = consolidator.begin_sleep(learner.state(), Goal())
    for _ in run.run():
        pass
    return run, run.finish()


def assert_equal(state: State, expected: State) -> None:
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, state[name]) for name, value in expected.items())


def test_holdout_counts_in_the_capacity_and_is_never_trained_on(learners: Any) -> None:
    _, consolidator = learners()
    holdout, memory = consolidator.holdout, consolidator.memory
    assert len(holdout) == 200 and holdout.room + 790 <= 1000 and len(memory) <= 1000 - holdout.room
    keys = memory.state()['memory.keys'][:, 2]
    apart = {int(k) + i for k in holdout.names() for i in range(SEGMENT)}
    assert len(apart) == 200 and not apart & {int(k) for k in keys}


def test_a_good_sleep_is_kept_and_scored(learners: Any) -> None:
    learner, consolidator = learners()
    run, _ = slept(learner, consolidator)
    found, history = run.verdict.metrics, consolidator.history
    assert run.verdict.judged and not run.verdict.rolled_back and found['held_out'] == 200
    assert found['change'] > 0 and found['change_low'] < found['change'] < found['change_high']
    assert found['change'] == pytest.approx(found['skill_after'] - found['skill_before'])
    assert (history.sleeps, history.rolled_back) == (5, 0)
    assert history.skill == found['skill_after'] and history.fast_skill == found['fast_after']
    batch = consolidator.holdout.batch()
    error = (consolidator.slow.predict(batch.z, batch.action) - batch.z_next).square().mean()
    assert history.skill == pytest.approx(1 - float(error / (batch.z - batch.z_next).square().mean()), abs=1e-5)


def test_a_sleep_that_did_harm_changes_only_the_count(learners: Any) -> None:
    learner, consolidator = learners(learning_rate=0.3)

    def remembered() -> State:
        return consolidator.memory.state() | consolidator.holdout.state()

    before, memory, online = consolidator.learner_state(), remembered(), learner.to_bytes()
    run, _ = slept(learner, consolidator)
    found = run.verdict.metrics
    assert run.verdict.rolled_back and found['change'] < found['change_high'] < 0 and not run.diverged
    run.roll_back()
    assert_equal(consolidator.learner_state(), before)
    assert_equal(remembered(), memory)
    assert learner.to_bytes() == online
    assert (consolidator.history.rolled_back, consolidator.history.sleeps) == (1, 4)
    assert consolidator.history.skill == found['skill_before']


def test_with_the_gate_switched_off_harm_is_measured_and_kept(learners: Any) -> None:
    run, _ = slept(*learners(learning_rate=0.3, gate=False))
    assert run.verdict.judged and run.verdict.metrics['change_high'] < -0.02 and not run.verdict.rolled_back


def test_forgetting_is_the_skill_lost_since_the_best_sleep(learners: Any) -> None:
    learner, consolidator = learners()
    slept(learner, consolidator)
    good = consolidator.history.skill
    with torch.no_grad():
        for weight in consolidator.slow.ema.parameters():
            weight.mul_(0.5)
    slept(learner, consolidator)
    lost = good - consolidator.history.skill
    assert lost > 0.05 and consolidator.history.forgetting == pytest.approx(lost, rel=0.5)


@pytest.fixture
def model(tmp_path: Path, parts: dict[str, bytes], tools: SimpleNamespace) -> Iterator[Callable[..., ModelFolder]]:
    """Opens a folder of that model; its settings of sleep are chosen when it is created."""
    folders: list[ModelFolder] = []

    def open_(**changes: Any) -> ModelFolder:
        folders.append(ModelFolder(tmp_path, 'm'))
        if folders[-1].config is None:
            settings = tools.recipe(JUDGED | {f'sleep.{name}': value for name, value in changes.items()})
            folders[-1].create(tools.config(settings), b'weights of the encoder')
            folders[-1].save(parts, run_id='', sequence=1005, cycles=4, now=tools.NOW)
        return folders[-1]

    yield open_
    for folder in folders:
        folder.close()


def rows(folder: ModelFolder) -> list[dict[str, str]]:
    folder.log.flush()
    with open(folder.path / 'training.log', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_training_continues_after_a_sleep_was_rolled_back(model: Any, tools: SimpleNamespace) -> None:
    """It is counted, logged and saved, and not repeated before another cycle is over; the weights are those before."""
    folder = model(learning_rate=0.3)
    reports: list[str] = []
    with TrainLoop(folder, lambda progress: reports.append(progress.phase)) as loop:
        world = tools.PanTiltWorld(scene=0)
        for transition in world.walk(260, seed=5):
            loop.step(transition, 'random', goes_on=False)
            loop.sleep_where_due()
            if loop.session.consolidator.sleeps_rolled_back:
                break
        assert loop.learner.total_steps == 1250
        assert loop.learner.wake_steps_in_cycle == 250 and loop.session.cycles == 4
        assert reports.count('sws') == 1 and SLEEP_KEPT not in reports
        for transition in world.walk(5, seed=6):
            loop.step(transition, 'random', goes_on=False)
            loop.sleep_where_due()
        assert reports.count('sws') == 1
    row = next(row for row in rows(folder) if row['event'] == 'rolled_back')
    assert float(row['change_high']) < 0 and float(row['skill_after']) < float(row['skill_before']) - 0.02
    assert row['probes'] == '200' and row['step'] == '1250' and folder.generation == 2
    folder.close()
    again = LearnerSession(model())
    assert again.consolidator.sleeps_rolled_back == 1 and again.sequence == 1255


def test_a_sleep_rolled_back_twice_at_one_step_counts_once(learners: Any) -> None:
    """After a restart the same sleep is repeated."""
    learner, consolidator = learners(learning_rate=0.3)
    for _ in range(2):
        run, _ = slept(learner, consolidator)
        run.roll_back()
    assert consolidator.sleeps_rolled_back == 1


def test_after_sigkill_holdout_and_history_are_learned_again(model: Any, tools: SimpleNamespace) -> None:
    """SIGKILL after a kept sleep and before the save: the journal restores what an uninterrupted twin has."""

    def go_on(folder: ModelFolder) -> LearnerSession:
        run = tools.TrainingRun(folder, tools.PanTiltWorld())
        for transition in tools.PanTiltWorld().walk(15, seed=9):
            run.session.learn(run.learner.learn(transition), tools.NOW)
        sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
        for _ in sleep.run():
            pass
        data = state_bytes.pack(sleep.finish())
        run.session.keep(sleep, Goal(), data, tools.NOW)
        run.learner.load_bytes(data)
        for transition in tools.PanTiltWorld().walk(40, seed=10):
            run.session.learn(run.learner.learn(transition), tools.NOW)
        run.folder.sync()
        return run.session

    def memory_of(session: LearnerSession) -> bytes:
        return state_bytes.pack(session.consolidator.state()[MEMORY])

    folder = model()
    child = os.fork()
    if child == 0:
        go_on(folder)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    folder.close()
    restored = LearnerSession(model())
    assert restored.sequence == 1060 and restored.consolidator.history.sleeps == 5
    again = memory_of(restored)
    restored.folder.close()
    for path in (restored.folder.path / 'journal').iterdir():
        path.unlink()
    assert memory_of(go_on(model())) == again


def test_the_answer_and_the_metrics_hold_what_the_gate_found(learners: Any) -> None:
    learner, consolidator = learners(learning_rate=0.3)
    run, _ = slept(learner, consolidator)
    run.roll_back()
    job = SleepJob(Goal(), lambda _: None, lambda: False, statistics=run.statistics, verdict=run.verdict)
    result = to_result(job)
    found = {metric.name: metric.value for metric in result.metrics}
    assert (found['held_out'], result.judged, result.rolled_back) == (200, True, True)
    assert found['change'] == run.verdict.metrics['change']
    assert found['skill_after'] < found['skill_before'] - 0.02 and found['change_low'] < found['change_high'] < 0
    assert 'tether ok, gate: skill on 200 held-out transitions' in result.status
    metrics = consolidator.metrics()
    assert consolidator.sleeps_rolled_back == 1 and consolidator.alarms == []
    assert metrics['held_out_skill'] == found['skill_before'] and 0.0 <= metrics['forgetting'] < 0.3


def test_without_a_gate_the_answer_states_it(open_run: Callable[..., Any]) -> None:
    trained = open_run().train(20)
    run, _ = slept(trained.learner, trained.session.consolidator)
    job = SleepJob(Goal(), lambda _: None, lambda: False, statistics=run.statistics, verdict=run.verdict)
    result = to_result(job)
    assert result.status.endswith('gate: not judged: memory has no room for 200 held-out transitions')
    assert not result.judged and not result.rolled_back
