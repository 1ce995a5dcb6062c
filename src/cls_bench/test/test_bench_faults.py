"""Fault trials: plan, criteria, and processes that are killed by SIGKILL and compared with an uninterrupted run."""

from collections import Counter
from collections.abc import Iterator
import json
import multiprocessing
from pathlib import Path
import shutil
from typing import Any

import numpy as np
import pytest

from cls_bench.faults.plan import AIMS, make_plan, parse_kinds, VICTIMS
from cls_bench.faults.reference import inspect, ReferenceRun, run_uninterrupted, RunPoint
from cls_bench.faults.result import allowed, failures_of, summary, TrialResult, write_json
from cls_bench.faults.subject import Subject
from cls_cli.entry import main
from cls_common.errors import UserError

SEED = 4
pytestmark = pytest.mark.timeout(300)  # importing PyTorch is slow on two busy cores
# A sleep every 15 steps, so that a run of a second has some.
SMALL = (
    'sleep.wake_steps_per_cycle=15',
    'sleep.sws_steps=5',
    'sleep.rem_steps=5',
    'sleep.tether_steps=3',
    'sleep.batch_size=8',
    'network.slow_hidden=32',
    'network.fast_hidden=16',
)
LONGEST = 35


def small(folder: Path) -> Subject:
    return Subject(folder=folder, seed=SEED, settings=SMALL)


def result(**changes: Any) -> TrialResult:
    values: dict[str, Any] = {
        'number': 1,
        'kind': 'slow',
        'aim': 'any',
        'phase': 'waking',
        'before': 100,
        'after': 98,
        'lost': 2,
        'rate': 30.0,
        'is_equal': True,
        'compared': (120, 2),
        'seconds': 9.5,
    }
    return TrialResult(**{**values, **changes})


def test_a_plan_has_every_kind_and_aim_equally_often() -> None:
    plan = make_plan(120, 7, ['graph', 'slow', 'fast', 'both'])
    assert [trial.number for trial in plan] == list(range(1, 121))
    assert Counter((trial.kind, trial.aim) for trial in plan) == {(k, a): 10 for k in plan_kinds() for a in AIMS}
    assert all(sorted(trial.order) == sorted(VICTIMS[trial.kind]) for trial in plan)
    assert {trial.order[0] for trial in plan if trial.kind == 'both'} == {'fast_learner', 'slow_learner'}
    shares = [trial.share for trial in plan]
    assert 0 <= min(shares) < 0.1 and 0.9 < max(shares) < 1 and len(set(shares)) == 120


def plan_kinds() -> list[str]:
    return ['slow', 'fast', 'both', 'graph']


def test_the_graph_is_killed_last_in_each_round() -> None:
    """The next trial cannot share a graph that was killed."""
    assert [trial.kind for trial in make_plan(6, 0, ['graph', 'slow', 'both'])] == [
        'slow',
        'both',
        'graph',
        'slow',
        'both',
        'graph',
    ]


def test_a_plan_is_deterministic_in_its_seed() -> None:
    assert make_plan(9, 3, plan_kinds()) == make_plan(20, 3, plan_kinds())[:9]
    assert make_plan(9, 3, plan_kinds()) != make_plan(9, 4, plan_kinds())


@pytest.mark.parametrize('text', ['', ' , ', 'slow,cat'])
def test_unknown_kinds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match='slow, fast, both, graph'):
        parse_kinds(text)


def test_a_trial_passes_with_a_second_of_steps_lost_and_equal_weights_only() -> None:
    assert allowed(29.1) == 30 and allowed(0.0) == 0
    assert failures_of(30, 29.1, True) == () and failures_of(0, 0.0, None) == ()
    assert failures_of(31, 29.1, True) == ('31 steps lost, 30 allowed',)
    assert failures_of(0, 29.1, False) == ('weights differ from those of the uninterrupted run',)
    assert failures_of(1, 29.1, True, ['it does not load']) == ('it does not load',)


def test_results_are_counted_and_written(tmp_path: Path) -> None:
    results = [result(), result(number=2, kind='fast', lost=7, is_equal=False, failures=('other weights',))]
    counts = summary(results)
    assert (counts['trials'], counts['failed'], counts['most_steps_lost'], counts['weights_equal']) == (2, 1, 7, 1)
    assert counts['by_kind'] == {'fast': {'trials': 1, 'failed': 1}, 'slow': {'trials': 1, 'failed': 0}}
    assert counts['by_phase'] == {'waking': {'trials': 2, 'failed': 1}}
    write_json(tmp_path / 'r.json', results, seed=5)
    content = json.loads((tmp_path / 'r.json').read_text())
    assert content['seed'] == 5 and content['summary'] == counts
    assert content['outcomes'][1]['failures'] == ['other weights'] and content['outcomes'][0]['compared'] == [120, 2]
    assert [path.name for path in tmp_path.iterdir()] == ['r.json']


@pytest.mark.parametrize(
    'arguments, problem',
    [
        (['--victim', 'cat'], 'kinds'),
        (['--report', '/no/such/folder/r.json'], 'existing folder'),
        (['--trials', '0'], 'trials'),
        (['--brain', 'cat'], 'brain'),
        (['--robot', 'pan_tilt'], 'simulated'),
        (['--set', 'cat=1'], 'unknown setting'),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['faults', *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and problem in error and error.count('\n') == 1


@pytest.fixture(scope='module')
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceRun]:
    with ReferenceRun(small(tmp_path_factory.mktemp('reference'))) as own:
        yield own


def test_the_reference_has_a_hash_after_every_step_and_sleep(reference: ReferenceRun) -> None:
    assert reference.get(0, 0) is None, 'no hash before the first step'
    before, after = reference.get(15, 0), reference.get(15, 1)
    assert before and after and before != after, 'a sleep changes the weights'
    assert reference.get(16, 0) is None, 'a sleep comes before that step'
    assert len({reference.get(16, 1), reference.get(17, 1), before, after}) == 4
    assert [reference.has_boundary(step) for step in (1, 2, 16)] == [True, False, False]


def run_and_kill(folder: Path, steps: int, delay: float) -> RunPoint:
    """Kills a training process `delay` s after it reported `steps` steps; returns its last report."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['cls_bench.faults.reference'])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_uninterrupted, args=(small(folder), 'm', sender.send))
    process.start()
    sender.close()
    last = RunPoint(0, 0, '')
    try:
        while last.steps < steps:
            assert receiver.poll(60), 'the process did not start'
            last = receiver.recv()
        process.join(delay)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -9
    try:
        while receiver.poll(0):
            last = receiver.recv()
    except EOFError:
        pass  # torn, or at the end
    return last


def test_a_run_killed_at_any_moment_continues_with_the_weights_of_the_reference(
    tmp_path: Path, reference: ReferenceRun
) -> None:
    """Every reported step is in the model, and its weights equal those of the uninterrupted run."""
    generator = np.random.default_rng()
    for number in range(3):
        steps, delay = int(generator.integers(1, LONGEST)), float(generator.uniform(0, 0.1))
        last = run_and_kill(tmp_path / str(number), steps, delay)
        found, problems = inspect(tmp_path / str(number), 'm')
        case = f'killed {delay:.3f} s after step {steps}'
        assert not problems, case
        assert last.steps <= found.steps <= last.steps + 1 and found.cycles >= last.cycles, case
        assert found.weights == reference.get(found.steps, found.cycles), case
    check_damage_is_seen(tmp_path / '0' / 'm', reference)


def check_damage_is_seen(model: Path, reference: ReferenceRun) -> None:
    """A journal without its last step restores an earlier point; a missing model is an error."""
    found, _ = inspect(model.parent, 'm')
    journal = max((model / 'journal').iterdir())
    journal.write_bytes(journal.read_bytes()[:-1])
    torn, _ = inspect(model.parent, 'm')
    assert (torn.steps, torn.cycles) < (found.steps, found.cycles)
    assert torn.weights == reference.get(torn.steps, torn.cycles) != found.weights
    shutil.rmtree(model)
    with pytest.raises(UserError, match=r'config\.json'):
        inspect(model.parent, 'm')
