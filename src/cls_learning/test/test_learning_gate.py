"""Nights are judged on what no night trains on, and taken back where they did harm (learning probe, 7.9)."""

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

from cls_interfaces.msg import LearnerStatus
from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator, Night
from cls_learning.evaluation.gate import interval, judge, Scores
from cls_learning.evaluation.history import EvaluationHistory
from cls_learning.evaluation.holdout import affordable, Holdout, PIECE
from cls_learning.memory.contract import Record
from cls_learning.model_store.folder import ModelFolder
from cls_learning.nodes.jobs import SleepJob
from cls_learning.nodes.messages import set_mornings, to_result
from cls_learning.runtime.learner_session import LearnerSession
from cls_training.train_loop import Living

GENERATOR = np.random.default_rng
# Large enough a memory for a gate; a day of a fifth of the life that its 200 probes need.
JUDGED = {'memory.capacity': 1000, 'sleep.wake_steps_per_cycle': 250, 'sleep.sws_steps': 20, 'sleep.rem_steps': 10}


def record(sequence: int, episode: int = 1) -> Record:
    z, a = np.full(4, sequence, np.float32), np.zeros(2, np.float32)
    return Record(z, z + 1, a, a, np.zeros(2), sequence, episode, sequence)


def taken(probes: Holdout, steps: range, episode: Callable[[int], int] = lambda _: 1) -> list[int]:
    return [s for s in steps if probes.take(record(s, episode(s)))]


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
def test_at_most_a_quarter_of_the_memory_and_none_where_they_would_be_too_few(
    wanted: int, capacity: int, count: int
) -> None:
    assert affordable(wanted, capacity) == count


def test_who_becomes_a_probe_depends_on_seed_and_sequence_alone() -> None:
    first, second = Holdout(200, 7), Holdout(200, 7)
    assert taken(first, range(1, 3000)) == taken(second, range(1, 3000))
    assert taken(Holdout(200, 8), range(1, 3000)) != taken(Holdout(200, 7), range(1, 3000))


def test_less_than_a_quarter_of_life_until_there_are_enough_then_less_and_less() -> None:
    probes = Holdout(200, 3)
    assert taken(probes, range(1, 101)) == [], 'a first night may come soon'
    assert len(taken(probes, range(101, 981))) == 200 == len(probes)
    later = len(taken(probes, range(981, 20_001)))
    # Of each block n a piece with the chance 40 / n: 5 x 40 x ln(22) expected.
    assert 450 < later < 750 and len(probes) == 200


def test_all_of_life_stands_the_same_chance() -> None:
    """Mean quarter counts over 40 seeds; a memory of the newest, or of the oldest, would show at once."""
    quarters = np.zeros(4)
    for seed in range(40):
        probes = Holdout(200, seed)
        taken(probes, range(1, 8001))
        quarters += np.bincount((probes.names() - 1) // 2000, minlength=4)
    assert quarters / quarters.sum() == pytest.approx([0.25] * 4, abs=0.05)


def test_no_episode_keeps_more_than_its_share_while_others_have_less() -> None:
    """A long first room, then short ones: whose turn comes gives one of the room with the most."""
    probes = Holdout(200, 1)
    taken(probes, range(1, 2001), lambda s: 1 if s <= 1000 else 1 + (s - 801) // 200)
    episodes = Counter(1 if k <= 1000 else 1 + (int(k) - 801) // 200 for k in probes.names())
    # Of the second half of life about 40 ln(2) pieces came, each in the place of one of the first room.
    assert 8 <= episodes[1] <= 18 and len(episodes) == 6 and sum(episodes.values()) == 40


@given(steps=st.lists(st.integers(1, 40), max_size=80), seed=st.integers(0, 2**31))
def test_pieces_are_whole_whatever_was_lost_on_the_way(steps: list[int], seed: int) -> None:
    probes = Holdout(200, seed)
    held = [s for s in np.cumsum(steps) if probes.take(record(int(s)))]
    assert len(probes) % PIECE == 0 and len(probes) <= len(held)
    if len(probes):
        z = probes.batch().z[:, 0].numpy().reshape(-1, PIECE)
        assert (np.diff(z, axis=1) == 1).all() and (z[:, 0] == probes.names()).all()


@pytest.mark.parametrize('stop', [3, 222, 1007, 1513])
def test_stopped_and_gone_on_they_are_the_same(stop: int) -> None:
    """Also in the midst of a piece."""
    whole, first = Holdout(200, 5), Holdout(200, 5)
    everything = taken(whole, range(1, 2001))
    before = taken(first, range(1, stop + 1))
    second = Holdout(200, 5)
    second.load(first.state())
    assert before + taken(second, range(stop + 1, 2001)) == everything
    assert all(torch.equal(v, second.state()[k]) for k, v in whole.state().items())


def test_what_was_saved_before_there_were_probes_has_none() -> None:
    probes = Holdout(200, 5)
    taken(probes, range(1, 100))
    probes.load({})
    assert len(probes) == 0 and EvaluationHistory.load({}).nights == 0


def scores(errors: np.ndarray, exchanged: np.ndarray | None = None) -> Scores:
    return Scores(errors, errors if exchanged is None else exchanged, np.ones_like(errors))


def test_the_change_is_paired() -> None:
    """Holdout of very different difficulty, each a little worse: unpaired, the difference would drown."""
    before = GENERATOR(0).uniform(0.0, 2.0, (40, PIECE))
    after = before + 0.03
    verdict = judge((scores(before), scores(after)), (scores(before), scores(before)), 200, False, GENERATOR(1))
    assert verdict.rolled_back and verdict.change == pytest.approx(-0.03)
    assert verdict.low == pytest.approx(-0.03) and verdict.high == pytest.approx(-0.03)
    assert verdict.skill_after - verdict.skill_before == pytest.approx(-0.03)
    assert verdict.fast_before == verdict.fast_after


@pytest.mark.parametrize(
    'mean, noise, pieces, is_open, rolled_back',
    [
        (-0.10, 0.1, 40, False, True),
        (-0.10, 0.1, 40, True, False),  # switched off
        (-0.015, 0.01, 40, False, False),  # real, but a trifle
        (-0.03, 0.5, 40, False, False),  # larger, but chance
        (-0.20, 0.1, 8, False, True),  # few, but clear
        (-0.08, 0.1, 8, False, False),  # of so few it may be chance
        (-0.90, 0.1, 7, False, False),  # too few probes
        (+0.10, 0.1, 40, False, False),
    ],
)
def test_rolled_back_where_harm_is_large_and_sure(
    mean: float, noise: float, pieces: int, is_open: bool, rolled_back: bool
) -> None:
    # All five of a piece alike: as independent ones they would seem surer than they are.
    change = GENERATOR(2).normal(0.0, noise, (pieces, 1)).repeat(PIECE, 1)
    change += mean - change.mean()
    before = np.ones((pieces, PIECE))
    verdict = judge((scores(before), scores(before - change)), (scores(before),) * 2, 200, is_open, GENERATOR(3))
    assert verdict.change == pytest.approx(mean) and verdict.holdout == pieces * PIECE
    assert verdict.rolled_back is rolled_back


@pytest.mark.parametrize('pieces', [8, 18, 40])
def test_the_interval_covers_the_mean_as_often_as_it_says(pieces: int) -> None:
    draw = GENERATOR(4)
    found = (interval(draw.normal(0.1, 1.0, pieces), draw) for _ in range(600))
    assert 0.93 < sum(low <= 0.1 <= high for _, low, high in found) / 600 < 0.98


def test_harm_to_fast_alone_is_rolled_back_too() -> None:
    before, worse = scores(np.ones((40, PIECE))), scores(np.full((40, PIECE), 1.1))
    verdict = judge((before, before), (before, worse), 200, False, GENERATOR(1))
    assert verdict.rolled_back and verdict.change == 0.0 and verdict.fast_change == pytest.approx(-0.1)
    assert 'fast -0.100 [-0.100, -0.100]' in verdict.text()


def test_the_first_sleep_is_judged_by_the_probes_that_are_there(tools: SimpleNamespace) -> None:
    """A robot's first sleep comes after 500 steps, with 90 of 200 probes."""
    settings = tools.recipe(JUDGED | {'sleep.wake_steps_per_cycle': 500, 'sleep.learning_rate': 0.3})
    waking = tools.waking(settings, seed=7)
    half = ClsConsolidator(settings, waking.robot, tools.Z_SIZE, 7)
    for transition in tools.Body().walk(500):
        half.learn(waking.learn(transition))
    before = half.state()
    night, _ = slept(waking, half)
    assert night.verdict.holdout == 90 and night.verdict.rolled_back
    night.roll_back()
    assert half.history.rolled_back == 1
    assert all(torch.equal(value, half.state()[name]) for name, value in before.items())


def test_where_nothing_moves_nothing_is_judged() -> None:
    still = Scores(*(np.zeros((40, PIECE)),) * 3)
    verdict = judge((still, still), (still, still), 200, False, GENERATOR(0))
    assert np.isnan([verdict.change, verdict.skill_before]).all() and not verdict.rolled_back


@pytest.fixture(scope='module')
def day(tools: SimpleNamespace) -> tuple[bytes, ...]:
    """A life long enough for 200 probes, with four nights: waking half, sleeping half and memory."""
    waking = tools.waking(tools.recipe(JUDGED), seed=7)
    half = ClsConsolidator(waking.settings, waking.robot, tools.Z_SIZE, 7)
    for transition in tools.Body().walk(1005):
        half.learn(waking.learn(transition))
        if waking.wants_sleep:
            night = half.begin_sleep(waking.state(), Goal())
            list(night.run())
            waking.load_bytes(night.finish())
    return waking.to_bytes(), half.to_bytes(), half.memory_to_bytes()


@pytest.fixture
def evening(day: tuple[bytes, ...], tools: SimpleNamespace) -> Callable[..., tuple[Any, ClsConsolidator]]:
    """Both halves on that evening, with other settings of sleep."""

    def open_(**changes: Any) -> tuple[Any, ClsConsolidator]:
        settings = tools.recipe(JUDGED | {f'sleep.{name}': value for name, value in changes.items()})
        waking = tools.waking(settings, seed=7)
        waking.load_bytes(day[0])
        half = ClsConsolidator(settings, waking.robot, tools.Z_SIZE, 7)
        half.load_bytes(day[1], day[2])
        return waking, half

    return open_


def slept(waking: Any, half: ClsConsolidator) -> tuple[Night, bytes]:
    night = half.begin_sleep(waking.state(), Goal())
    for _ in night.run():
        pass
    return night, night.finish()


def test_probes_count_in_the_capacity_and_are_never_slept_on(evening: Any) -> None:
    _, half = evening()
    assert len(half.holdout) == 200 and half.holdout.room + 790 <= 1000 and len(half.memory) <= 1000 - half.holdout.room
    keys = half.memory.state()['memory.keys'][:, 2]
    apart = {int(k) + i for k in half.holdout.names() for i in range(PIECE)}
    assert len(apart) == 200 and not apart & {int(k) for k in keys}


def test_a_good_night_is_kept_and_scored(evening: Any) -> None:
    waking, half = evening()
    night, _ = slept(waking, half)
    verdict, history = night.verdict, half.history
    assert verdict.change > 0 and not verdict.rolled_back and verdict.holdout == 200
    assert verdict.low < verdict.change < verdict.high
    assert verdict.change == pytest.approx(verdict.skill_after - verdict.skill_before)
    assert (history.nights, history.rolled_back) == (5, 0)
    assert history.skill == verdict.skill_after and history.fast_skill == verdict.fast_after
    batch = half.holdout.batch()
    error = (half.slow.predict(batch.z, batch.action) - batch.z_next).square().mean()
    assert history.skill == pytest.approx(1 - float(error / (batch.z - batch.z_next).square().mean()), abs=1e-5)


def test_a_night_that_did_harm_leaves_no_trace_but_its_count(evening: Any) -> None:
    waking, half = evening(learning_rate=0.3)
    before, memory, fast = half.state(), half.memory.state() | half.holdout.state(), waking.to_bytes()
    night, _ = slept(waking, half)
    assert night.verdict.rolled_back and night.verdict.change < night.verdict.high < 0 and not night.diverged
    night.roll_back()
    assert all(torch.equal(value, half.state()[name]) for name, value in before.items())
    assert all(torch.equal(v, (half.memory.state() | half.holdout.state())[k]) for k, v in memory.items())
    assert waking.to_bytes() == fast
    assert (half.history.rolled_back, half.history.nights) == (1, 4)
    assert half.history.skill == night.verdict.skill_before


def test_with_the_gate_switched_off_harm_is_seen_and_kept(evening: Any) -> None:
    night, _ = slept(*evening(learning_rate=0.3, gate=False))
    assert night.verdict.high < -0.02 and not night.verdict.rolled_back


def test_forgetting_is_what_a_stretch_of_life_has_lost_since_its_best_morning(evening: Any) -> None:
    waking, half = evening()
    slept(waking, half)
    good = half.history.skill
    with torch.no_grad():
        for weight in half.slow.acting.parameters():
            weight.mul_(0.5)
    slept(waking, half)
    lost = good - half.history.skill
    assert lost > 0.05 and half.history.forgetting == pytest.approx(lost, rel=0.5)


@pytest.fixture
def model(tmp_path: Path, day: tuple[bytes, ...], tools: SimpleNamespace) -> Iterator[Callable[..., ModelFolder]]:
    """Opens a model on that evening; its settings of sleep are chosen when it is created."""
    folders: list[ModelFolder] = []

    def open_(**changes: Any) -> ModelFolder:
        folders.append(ModelFolder(tmp_path, 'm'))
        if folders[-1].config is None:
            settings = tools.recipe(JUDGED | {f'sleep.{name}': value for name, value in changes.items()})
            folders[-1].create(tools.config(settings), b'eyes')
            parts = dict(zip(('waking.safetensors', 'sleeping.safetensors', 'replay.safetensors'), day))
            folders[-1].save(parts, run_id='', sequence=1005, cycles=4, now=tools.NOW)
        return folders[-1]

    yield open_
    for folder in folders:
        folder.close()


def rows(folder: ModelFolder) -> list[dict[str, str]]:
    folder.log.flush()
    with open(folder.path / 'training.log', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_life_goes_on_after_a_night_rolled_back(model: Any, tools: SimpleNamespace) -> None:
    """Counted, logged, saved, and not slept again before another cycle is over; its weights are those of before."""
    folder = model(learning_rate=0.3)
    reports: list[str] = []
    with Living(folder, lambda progress: reports.append(progress.phase)) as living:
        body = tools.Body(scene=0)
        for transition in body.walk(260, seed=5):
            living.wake_step(transition, 'random', goes_on=False)
            living.sleep_where_due()
            if living.session.consolidator.history.rolled_back:
                break
        assert living.waking.total_steps == 1250
        assert living.waking.wake_steps_in_cycle == 250 and living.session.cycles == 4
        assert reports.count('sws') == 1 and 'morning' not in reports
        for transition in body.walk(5, seed=6):
            living.wake_step(transition, 'random', goes_on=False)
            living.sleep_where_due()
        assert reports.count('sws') == 1
    night = next(row for row in rows(folder) if row['event'] == 'rolled_back')
    assert float(night['change_high']) < 0 and float(night['skill_after']) < float(night['skill_before']) - 0.02
    assert night['probes'] == '200' and night['step'] == '1250' and folder.generation == 2
    folder.close()
    again = LearnerSession(model())
    assert again.sleeping.history.rolled_back == 1 and again.sequence == 1255


def test_slept_again_after_a_restart_it_counts_once(evening: Any) -> None:
    waking, half = evening(learning_rate=0.3)
    for _ in range(2):
        night, _ = slept(waking, half)
        night.roll_back()
    assert half.history.rolled_back == 1


def test_killed_after_a_kept_night_the_probes_and_mornings_are_relived(model: Any, tools: SimpleNamespace) -> None:
    """SIGKILL before the save: the journal gives back what a twin that lived on has."""

    def live_on(folder: ModelFolder) -> LearnerSession:
        life = tools.Life(folder, tools.Body())
        for transition in tools.Body().walk(15, seed=9):
            life.session.learn(life.waking.learn(transition), tools.NOW)
        night = life.session.begin_sleep(life.waking.to_bytes(), Goal())
        for _ in night.run():
            pass
        data = night.finish()
        life.session.keep(night, Goal(), data, tools.NOW)
        life.waking.load_bytes(data)
        for transition in tools.Body().walk(40, seed=10):
            life.session.learn(life.waking.learn(transition), tools.NOW)
        life.folder.sync()
        return life.session

    folder = model()
    child = os.fork()
    if child == 0:
        live_on(folder)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    folder.close()
    relived = LearnerSession(model())
    assert relived.sequence == 1060 and relived.sleeping.history.nights == 5
    again = relived.sleeping.memory_to_bytes()
    relived.folder.close()
    for path in (relived.folder.path / 'journal').iterdir():
        path.unlink()
    twin = live_on(model())
    assert twin.sleeping.memory_to_bytes() == again


def test_the_answer_and_the_status_say_what_the_gate_found(evening: Any) -> None:
    waking, half = evening(learning_rate=0.3)
    night, _ = slept(waking, half)
    night.roll_back()
    job = SleepJob(Goal(), lambda _: None, lambda: False, statistics=night.statistics, verdict=night.verdict)
    result = to_result(job)
    assert (result.holdout, result.rolled_back, result.change) == (200, True, night.verdict.change)
    assert result.skill_after < result.skill_before - 0.02 and result.change_low < result.change_high < 0
    assert 'tether ok, gate: skill on 200 probes' in result.status
    status = LearnerStatus()
    set_mornings(status, half)
    assert status.nights_rolled_back == 1 and status.alarms == []
    assert status.probe_skill == pytest.approx(night.verdict.skill_before) and 0.0 <= status.forgetting < 0.3


def test_without_a_gate_the_answer_says_so(tools: SimpleNamespace, open_life: Callable[..., Any]) -> None:
    night, _ = slept(*(lambda life: (life.waking, life.session.consolidator))(open_life().live(20)))
    job = SleepJob(Goal(), lambda _: None, lambda: False, statistics=night.statistics, verdict=night.verdict)
    assert to_result(job).status.endswith('gate: not judged: memory has no 200 probes')
