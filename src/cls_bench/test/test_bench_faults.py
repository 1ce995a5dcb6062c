"""Killing learners: the plan, the verdict, and real processes that live, die by SIGKILL and are compared."""

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
from cls_bench.faults.reference import inspect, live, RECIPE, Reference, Stage
from cls_bench.faults.verdict import allowed, judge, Outcome, summary, write_json
from cls_cli.entry import main
from cls_common.errors import UserError

SEED = 4
pytestmark = pytest.mark.timeout(300)  # a process that imports PyTorch on what may be two busy cores
# A night every 15 steps, so that a life of a second has some.
SMALL = {
    **RECIPE, 'sleep.wake_steps_per_cycle': 15, 'sleep.sws_steps': 5, 'sleep.rem_steps': 5, 'sleep.tether_steps': 3,
    'sleep.batch_size': 8, 'network.slow_hidden': 32, 'network.fast_hidden': 16,
}  # fmt: skip
LONGEST = 35


def outcome(**changes: Any) -> Outcome:
    values: dict[str, Any] = {
        'number': 1, 'kind': 'slow', 'aim': 'any', 'phase': 'waking', 'before': 100, 'after': 98, 'lost': 2,
        'rate': 30.0, 'is_equal': True, 'compared': (120, 2), 'seconds': 9.5,
    }  # fmt: skip
    return Outcome(**{**values, **changes})


def test_a_plan_meets_every_kind_and_aim_equally_often() -> None:
    plan = make_plan(120, 7, ['graph', 'slow', 'fast', 'both'])
    assert [trial.number for trial in plan] == list(range(1, 121))
    assert Counter((trial.kind, trial.aim) for trial in plan) == {(k, a): 10 for k in plan_kinds() for a in AIMS}
    assert all(sorted(trial.order) == sorted(VICTIMS[trial.kind]) for trial in plan)
    assert {trial.order[0] for trial in plan if trial.kind == 'both'} == {'fast_learner', 'slow_learner'}
    shares = [trial.share for trial in plan]
    assert 0 <= min(shares) < 0.1 and 0.9 < max(shares) < 1 and len(set(shares)) == 120


def plan_kinds() -> list[str]:
    return ['slow', 'fast', 'both', 'graph']


def test_the_graph_dies_last_in_each_round() -> None:
    """What is killed with it can't be shared with the next trial."""
    assert [trial.kind for trial in make_plan(6, 0, ['graph', 'slow', 'both'])] == [
        'slow', 'both', 'graph', 'slow', 'both', 'graph',
    ]  # fmt: skip


def test_a_plan_depends_on_its_seed_alone() -> None:
    assert make_plan(9, 3, plan_kinds()) == make_plan(20, 3, plan_kinds())[:9]
    assert make_plan(9, 3, plan_kinds()) != make_plan(9, 4, plan_kinds())


@pytest.mark.parametrize('text', ['', ' , ', 'slow,cat'])
def test_unknown_kinds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match='slow, fast, both, graph'):
        parse_kinds(text)


def test_a_verdict_allows_a_second_of_steps_and_no_other_weights() -> None:
    assert allowed(29.1) == 30 and allowed(0.0) == 0
    assert judge(30, 29.1, True) == () and judge(0, 0.0, None) == ()
    assert judge(31, 29.1, True) == ('31 steps lost, 30 allowed',)
    assert judge(0, 29.1, False) == ('other weights than those of never having stopped',)
    assert judge(1, 29.1, True, ['it does not load']) == ('it does not load',)


def test_outcomes_are_counted_and_written(tmp_path: Path) -> None:
    outcomes = [outcome(), outcome(number=2, kind='fast', lost=7, is_equal=False, failures=('other weights',))]
    figures = summary(outcomes)
    assert (figures['trials'], figures['failed'], figures['most_steps_lost'], figures['weights_equal']) == (2, 1, 7, 1)
    assert figures['by_kind'] == {'fast': {'trials': 1, 'failed': 1}, 'slow': {'trials': 1, 'failed': 0}}
    assert figures['by_phase'] == {'waking': {'trials': 2, 'failed': 1}}
    write_json(tmp_path / 'r.json', outcomes, seed=5)
    content = json.loads((tmp_path / 'r.json').read_text())
    assert content['seed'] == 5 and content['summary'] == figures
    assert content['outcomes'][1]['failures'] == ['other weights'] and content['outcomes'][0]['compared'] == [120, 2]
    assert [path.name for path in tmp_path.iterdir()] == ['r.json']


@pytest.mark.parametrize(
    'arguments, problem',
    [
        (['--victim', 'cat'], 'kinds'),
        (['--report', '/no/such/folder/r.json'], 'existing folder'),
        (['--trials', '0'], 'trials'),
    ],
)
def test_wrong_options_are_one_line(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['faults', *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and problem in error and error.count('\n') == 1


@pytest.fixture(scope='module')
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with Reference(tmp_path_factory.mktemp('reference'), SEED, SMALL) as own:
        yield own


def test_the_uninterrupted_life_is_known_at_every_step_and_night(reference: Reference) -> None:
    assert reference.get(0, 0) is None, 'nothing was learned yet'
    before, after = reference.get(15, 0), reference.get(15, 1)
    assert before and after and before != after, 'a night changes the weights'
    assert reference.get(16, 0) is None, 'it slept before that step'
    assert len({reference.get(16, 1), reference.get(17, 1), before, after}) == 4


def killed_life(folder: Path, steps: int, delay: float) -> Stage:
    """Lives in a process of its own, which dies a moment after it told of a step; returns what it told last."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['cls_bench.faults.reference'])
    heard, telling = context.Pipe(duplex=False)
    process = context.Process(target=live, args=(folder, 'm', SEED, SMALL, telling.send))
    process.start()
    telling.close()
    last = Stage(0, 0, '')
    try:
        while last.steps < steps:
            assert heard.poll(60), 'the life did not begin'
            last = heard.recv()
        process.join(delay)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -9
    try:
        while heard.poll(0):
            last = heard.recv()
    except EOFError:
        pass  # torn, or read to the end
    return last


def test_whatever_moment_a_life_is_killed_at_it_goes_on_as_if_it_was_not(tmp_path: Path, reference: Reference) -> None:
    """Every step that it told of is there, and the weights are those of never having stopped."""
    generator = np.random.default_rng()
    for number in range(3):
        steps, delay = int(generator.integers(1, LONGEST)), float(generator.uniform(0, 0.1))
        last = killed_life(tmp_path / str(number), steps, delay)
        found, problems = inspect(tmp_path / str(number), 'm')
        said = f'killed {delay:.3f} s after step {steps}'
        assert not problems, said
        assert last.steps <= found.steps <= last.steps + 1 and found.cycles >= last.cycles, said
        assert found.weights == reference.get(found.steps, found.cycles), said
    damage(tmp_path / '0' / 'm', reference)


def damage(model: Path, reference: Reference) -> None:
    """The comparison sees a difference: a journal with a step missing at its end is another stage, none is no model."""
    found, _ = inspect(model.parent, 'm')
    journal = max((model / 'journal').iterdir())
    journal.write_bytes(journal.read_bytes()[:-1])
    torn, _ = inspect(model.parent, 'm')
    assert (torn.steps, torn.cycles) < (found.steps, found.cycles)
    assert torn.weights == reference.get(torn.steps, torn.cycles) != found.weights
    shutil.rmtree(model)
    with pytest.raises(UserError, match=r'config\.json'):
        inspect(model.parent, 'm')
