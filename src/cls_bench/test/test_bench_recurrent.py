"""Benchmark of learning without a tape: chain, costs, learning, report and command."""

from collections.abc import Iterator
import io
import json
from pathlib import Path

from click.testing import CliRunner
import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.recurrent import costs, late_robot, learning
from cls_bench.recurrent.agents import AGENTS, make_cell, silence
from cls_bench.recurrent.memory_chain import episode
from cls_bench.recurrent.report import document
from cls_bench.recurrent.runner import RecurrentRequest, run
from cls_bench.recurrent.table import show
from cls_cli.commands.bench import command
from cls_cli.entry import main
from cls_common.errors import UserError


@pytest.fixture(autouse=True, scope='module')
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_only_the_first_step_of_a_chain_tells_its_target() -> None:
    chains = [episode(6, 0, number) for number in range(40)]
    for chain in chains:
        assert chain.x.shape == (6, 1, 3) and float(chain.target) == (float(chain.x[0, 0, 0]) > 0)
        assert not chain.x[1:, 0, 0].any() and (chain.x[1:-1, 0, 1].abs() == 1.0).all()
        assert chain.x[-1, 0].tolist() == [0.0, 0.0, 1.0]
    assert 8 < sum(float(chain.target) for chain in chains) < 32
    assert torch.equal(chains[3].x, episode(6, 0, 3).x)
    assert not torch.equal(torch.cat([c.x for c in chains]), torch.cat([episode(6, 1, n).x for n in range(40)]))


def test_thresholds_are_set_to_a_share_of_silent_units() -> None:
    xs = episode(40, 0, 0).x
    cell = make_cell(AGENTS['sparse'], 16, 0, sparsity=0.8)
    for share in (0.6, 0.9):
        silence(cell, xs, share)
        state, silent = cell.initial(1), 0.0
        for x in xs:
            state, output = cell(state, x)
            silent += float((output == 0).float().mean()) / len(xs)
        assert silent == pytest.approx(share, abs=0.03)


def test_sparse_levels_need_fewer_operations_and_bytes_and_exact_ones_have_the_gradient_of_bptt() -> None:
    rows = {name: costs.measure(name, 16, 0.8, 1.0) for name in ('dense', 'sparse', 'SnAp-1', 'trace units')}
    for name in ('dense', 'sparse', 'trace units'):
        assert rows[name]['error'] < 1e-5
    assert rows['SnAp-1']['error'] > 1e-5
    assert rows['dense']['executed'] == rows['dense']['dense'] == rows['sparse']['dense']
    for metric in ('executed', 'effective', 'bytes'):
        assert rows['dense'][metric] > rows['sparse'][metric] > rows['SnAp-1'][metric]
    assert rows['sparse']['silent'] == pytest.approx(costs.SILENT, abs=0.05)


def test_at_80_percent_of_silent_units_and_pruned_weights_5_times_fewer_operations_remain() -> None:
    row = costs.measure('sparse', 32, 0.8, 1.0)
    assert row['dense'] >= 5 * row['effective']


def test_the_tape_of_bptt_grows_with_the_chain() -> None:
    short, long = (costs.measure_bptt('event_gru', 8, 0.5, length) for length in (8, 64))
    assert 6.0 < long['bytes'] / short['bytes'] < 10.0


def test_trace_units_learn_a_chain_and_equal_seeds_learn_equally() -> None:
    learned, again, other = (
        learning.learn('trace units', 8, seed, signal='end', episodes=140, units=16) for seed in (0, 0, 1)
    )
    assert learned['accuracy'] > 0.9 and learned['refused'] == 0
    for metrics in (learned, again, other):
        del metrics['seconds']
    assert learned == again != other


def test_the_robot_of_the_benchmark_answers_two_steps_late() -> None:
    late, prompt = (late_robot.record(30, 0, delay) for delay in (late_robot.DELAY, 0))
    assert torch.equal(late.before[2:], prompt.before[:-2]) and torch.equal(
        late.before[:3], prompt.before[:1].repeat(3, 1, 1)
    )
    assert torch.equal(late.action, prompt.action) and torch.equal(late.after[:-1], late.before[1:])
    moved = prompt.after - prompt.before
    explained = (
        np.linalg.lstsq(prompt.action[:, 0].numpy(), moved[:, 0].numpy())[1] / moved.square().sum((0, 1)).numpy()
    )
    assert (explained < 0.1).all()


def test_without_memory_a_robot_is_predicted_only_if_it_is_not_late() -> None:
    prompt, late = (late_robot.learn(name, 0, steps=400) for name in ('MLP, not late', 'MLP'))
    assert prompt['error'] < 0.4 and late['error'] > 0.8
    assert prompt['updates'] == 400 and prompt['refused'] == late['refused'] == 0


@pytest.mark.parametrize('cell', ['event GRU, sparse', 'trace units, diagonal'])
def test_the_first_update_without_a_tape_is_that_with_a_tape_over_the_same_steps(cell: str) -> None:
    data, found = late_robot.record(300, 0, late_robot.DELAY), []
    for name in (f'{cell} / 8', f'{cell.split(",")[0]}, BPTT / 8'):
        learner = late_robot.LateLearner(late_robot.AGENTS[name], data, 0)
        torch.nn.init.constant_(learner.world.members[0].output.weight, 0.1)  # it begins at 0
        errors = [learner.learn(late_robot.Stream(*(part[number] for part in data))) for number in range(200, 208)]
        assert learner.updates == 1
        found.append((errors, {name: weight.grad for name, weight in learner.world.named_parameters()}))
    (errors, gradients), (expected, exact) = found
    np.testing.assert_allclose(errors, expected, rtol=1e-4)
    for name, gradient in exact.items():
        assert gradient.any() and (gradients[name] - gradient).abs().max() < 1e-5 * gradient.abs().max(), name


def test_report_and_table_have_every_agent(tmp_path: Path) -> None:
    names = ('sparse', 'sparse, SET', 'trace units')
    request = RecurrentRequest(
        lengths=(3, 4),
        seeds=2,
        episodes=2,
        late_steps=8,
        units=6,
        cost_units=(8,),
        agents=names,
        signals=('end', 'every'),
        jobs=1,
    )
    shares: list[float] = []
    report = document(run(request, lambda label, share: shares.append(share)))
    assert shares[-1] == 1.0 and json.loads(json.dumps(report, allow_nan=False)) == report
    assert len(report['learned']) == 3 * 2 * 2 and len(report['summary']) == 5
    assert {row['length'] for row in report['bptt']} == {3, 4}
    printed = io.StringIO()
    show(report, Console(file=printed, width=240))
    assert [row['agent'] for row in report['late']] == list(late_robot.AGENTS)
    for text in (*names, *late_robot.AGENTS, 'dense', 'BPTT', 'right answers, error: every'):
        assert text in printed.getvalue()


def test_a_request_without_agents_or_lengths_that_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', 'rtrl', '--length', '2']) == 2
    assert 'x>=3' in capsys.readouterr().err
    with pytest.raises(UserError, match='expected 0 <= sparsity < 1'):
        make_cell(AGENTS['sparse'], 4, 0, sparsity=1.0)
    shown = CliRunner().invoke(command, ['rtrl', '--help']).output
    assert '--short' in shown and '--seeds' in shown
