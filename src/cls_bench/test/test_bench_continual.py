"""`bench continual`: streams, metrics, methods, and the report."""

from collections.abc import Iterator
from pathlib import Path
import sys
from typing import Any

import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.continual import avalanche, report, rows, runner, stream_run, world_streams, worlds
from cls_bench.continual.digits import CLASSES, DigitStream, DigitTask, permuted, split, split_told, STREAMS
from cls_bench.continual.evaluator import Evaluator, EVERY, stream_metrics
from cls_bench.continual.methods import METHODS
from cls_bench.continual.methods.memory import Memory, Samples
from cls_bench.continual.network import Network, only
from cls_bench.continual.plots import draw
from cls_bench.continual.table import show
from cls_bench.peer_environment import lines_of
from cls_cli import entry
from cls_common.errors import UserError
from cls_common.transition import EMBEDDING, JOINTS
from cls_sim.worlds.task_schedule import Switch

ADAM = {'optimizer': 'adam', 'rate': 1e-3}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(stream: DigitStream, tasks: int = 2, images: int = 64) -> DigitStream:
    """Returns the first tasks of a stream with few images."""
    return DigitStream(
        tuple(
            DigitTask(task.train_x[:images], task.train_y[:images], task.test_x, task.test_y, task.classes)
            for task in stream.tasks[:tasks]
        ),
        stream.is_told,
    )


def test_metrics_of_three_tasks_are_those_computed_by_hand() -> None:
    after = [[0.9, 0.2, 0.1], [0.6, 0.8, 0.3], [0.7, 0.5, 1.0]]
    within = [[[0.5], [0.9]], [[0.4, 0.6], [0.6, 0.8]], [[0.6, 0.7, 0.2], [0.7, 0.5, 1.0]]]
    found = stream_metrics([0.1, 0.1, 0.1], after, within)
    assert found['final'] == pytest.approx((0.7 + 0.5 + 1.0) / 3)
    assert found['anytime'] == pytest.approx((0.5 + 0.9 + 0.5 + 0.7 + 0.5 + 2.2 / 3) / 6)
    # The lowest of the first task is 0.4, in the second task; of the second 0.5, at the end.
    assert found['worst'] == pytest.approx((0.4 + 0.5) / 2)
    # At the first switch the first task fell from 0.9 to 0.4, at the second both from 0.7 to 0.6.
    assert found['dip'] == pytest.approx(0.5)
    assert found['forgetting'] == pytest.approx((0.9 - 0.7 + 0.8 - 0.5) / 2)
    assert found['bwt'] == pytest.approx((0.7 - 0.9 + 0.5 - 0.8) / 2)
    assert found['fwt'] == pytest.approx((0.2 - 0.1 + 0.3 - 0.1) / 2)
    assert found['curve'][:10] == [0.5] * 7 + [0.9] * 3 and len(found['curve']) == 30


def test_a_single_task_has_no_dip_and_forgets_nothing() -> None:
    found = stream_metrics([0.1], [[0.9]], [[[0.5], [0.9]]])
    assert [found[name] for name in ('worst', 'dip', 'forgetting', 'bwt', 'fwt')] == [None] * 5


@pytest.mark.parametrize('make', [permuted, split, split_told])
def test_streams_depend_on_the_seed_alone(make: Any) -> None:
    first, again, other = make(3), make(3), make(4)
    for one, two in zip(first.tasks, again.tasks):
        assert np.array_equal(one.train_x, two.train_x) and np.array_equal(one.test_y, two.test_y)
    assert not np.array_equal(first.tasks[0].train_y[:50], other.tasks[0].train_y[:50])


def test_every_digit_is_in_training_or_test_and_in_none_twice() -> None:
    from sklearn.datasets import load_digits  # a second of processor time, in every worker if it stood above

    images, labels = load_digits(return_X_y=True)
    tasks = split(5).tasks
    seen = np.concatenate([part for task in tasks for part in (task.train_x, task.test_x)]) * 16
    assert sorted(map(tuple, seen)) == sorted(map(tuple, images))
    assert [sum(map(len, part)) for part in ([t.train_y for t in tasks], [t.test_y for t in tasks])] == [1300, 497]
    assert sorted(each for task in tasks for each in task.classes) == list(range(CLASSES))
    assert all(set(task.train_y) == set(task.test_y) == set(task.classes) for task in tasks)
    assert len(labels) == 1797


def test_permuted_tasks_have_the_same_digits_with_pixels_in_other_orders() -> None:
    first, second, *rest = permuted(5).tasks
    assert len(rest) == 8 and np.array_equal(first.train_y, second.train_y)
    assert not np.array_equal(first.test_x, second.test_x)
    assert np.array_equal(np.sort(first.test_x), np.sort(second.test_x))


def samples(task: int, labels: torch.Tensor) -> Samples:
    return Samples(torch.rand(len(labels), 64), labels, torch.full_like(labels, task), torch.rand(len(labels), 10))


def test_memory_has_as_many_images_of_each_class_of_each_task() -> None:
    memory = Memory(60, torch.Generator().manual_seed(0))
    memory.add(samples(0, torch.arange(100) % 10))
    assert memory.samples.y.bincount().tolist() == [6] * 10
    # A class that is rare in its task has all its images.
    memory.add(samples(1, torch.tensor([0] * 97 + [1] * 3)))
    groups = (memory.samples.task * 10 + memory.samples.y).bincount().tolist()
    assert sum(groups) == len(memory) == 60
    assert groups[11] == 3 and max(groups) - min(groups[:11]) <= 1


def test_each_image_is_as_likely_to_be_remembered() -> None:
    counts = torch.zeros(40)
    for seed in range(300):
        memory = Memory(10, torch.Generator().manual_seed(seed))
        new = samples(0, torch.zeros(40, dtype=torch.int64))
        new.x[:, 0] = torch.arange(40)
        memory.add(new)
        counts[memory.samples.x[:, 0].long()] += 1
    assert counts.sum() == 3000
    # The mean is 75, with a standard deviation of 7.5.
    assert counts.min() > 45 and counts.max() < 105


def test_draws_from_memory_are_different_images_as_long_as_there_are_any() -> None:
    memory = Memory(8, torch.Generator().manual_seed(0))
    memory.add(samples(0, torch.arange(8)))
    assert sorted(memory.draw(8).y.tolist()) == list(range(8))
    assert memory.draw(20).y.bincount().min() >= 2


def test_no_other_class_is_the_answer_where_the_task_is_known() -> None:
    logits = only(torch.tensor([[9.0, 1.0, 2.0, *[5.0] * 7]]), (1, 2))
    assert logits.argmax(1).tolist() == [2]
    assert torch.equal(logits - logits, torch.zeros(1, 10))


def test_the_evaluator_looks_every_few_steps_and_after_each_task() -> None:
    asked = 0

    def answer(images: Any, classes: tuple[int, ...]) -> Any:
        nonlocal asked
        asked += 1
        return np.full(len(images), classes[0])

    stream = tiny(split(0))
    evaluator = Evaluator(stream, answer)
    for _ in stream.tasks:
        for _ in range(2 * EVERY + 1):
            evaluator.step()
        evaluator.end_task()
    # Before learning and after each task all of them; in between those so far.
    assert asked == 2 + 2 + 2 + 2 * 1 + 2 * 2
    shares = [float(np.mean(task.test_y == task.classes[0])) for task in stream.tasks]
    assert evaluator.metrics()['matrix'] == [shares, shares]


@pytest.mark.parametrize('method', METHODS)
def test_each_method_learns_with_as_many_gradients_as_replay_and_repeats_itself(method: str) -> None:
    values = {
        **ADAM,
        'weight': 0.03,
        'alpha': 0.5,
        'beta': 1.0,
        'average': 0.5,
        'quick': (0.9, 0.5),
        'slow': (0.5, 0.5),
    }
    stream = tiny(split(1))
    first, again = (stream_run.run(METHODS[method], stream, values, 1) for _ in range(2))
    assert {**first, 'seconds': 0.0} == {**again, 'seconds': 0.0}
    # 2 tasks of 64 images in 5 epochs. Replay adds as many in the second task, and the exact form 10 for each image.
    spent, extra = 2 * 64 * 5, 2 * 64 * 10 if method == 'ewc_exact' else 64 * 5
    assert first['steps'] >= 20 and spent <= first['gradients'] <= spent + extra
    assert 0.0 <= first['final'] <= 1.0
    assert (first['bytes'] == 0) == (method == 'none')


def test_replay_keeps_what_a_network_without_it_forgets() -> None:
    stream = tiny(split(2), images=200)
    found = {
        method: stream_run.run(METHODS[method], stream, {**ADAM, 'alpha': 0.5, 'beta': 1.0, 'average': 0.8}, 2)
        for method in ('none', 'replay', 'sleep')
    }
    assert found['none']['forgetting'] > 0.8
    assert found['replay']['final'] > found['none']['final'] + 0.2
    assert found['sleep']['final'] > found['none']['final'] + 0.2


def test_a_known_task_is_not_forgotten_with_its_own_answers() -> None:
    told = stream_run.run(METHODS['none'], tiny(split_told(2), images=200), ADAM, 2)
    assert told['final'] > 0.9 and told['forgetting'] < 0.1


def test_a_penalty_keeps_more_of_the_first_task() -> None:
    stream = tiny(permuted(3), images=300)
    free = stream_run.run(METHODS['none'], stream, ADAM, 3)
    held = stream_run.run(METHODS['ewc_empirical'], stream, {**ADAM, 'weight': 0.3}, 3)
    assert held['matrix'][1][0] > free['matrix'][1][0] + 0.05


def test_the_network_counts_images_of_which_gradients_are_computed() -> None:
    network = Network(0)
    network(torch.rand(3, 64)).sum().backward()
    with torch.no_grad():
        network(torch.rand(5, 64))
    assert network.gradients == 3
    assert sum(each.numel() for each in network.parameters()) == 64 * 256 + 256 + 256 * 10 + 10


@pytest.fixture
def _tiny_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STREAMS, 'split_digits', lambda seed: tiny(split(seed), images=32))


def request(folder: Path, **changes: Any) -> runner.ContinualRequest:
    values: dict[str, Any] = {
        'rows': rows.rows(('none',)), 'benchmarks': ('split_digits',), 'seeds': 2, 'runs_avalanche': False,
        'jobs': 1, 'folder': folder,
    }  # fmt: skip
    return runner.ContinualRequest(**values | changes)


@pytest.mark.usefixtures('_tiny_stream')
def test_what_is_finished_is_not_run_again_and_the_best_values_are_chosen(tmp_path: Path) -> None:
    labels: list[str] = []
    asked = request(tmp_path, rows=((rows.OURS, 'none'),))
    first = runner.run(asked, lambda label, _: labels.append(label))
    assert labels == ['split_digits ours none'] * (2 * 2 + 2)
    assert runner.run(asked, lambda label, _: labels.append(label)) == first and len(labels) == 6
    cell = runner.Cell(rows.OURS, 'none', 'split_digits')
    finals = [
        sum(runner.work(tmp_path, runner.ContinualJob(cell, k, seed))['final'] for seed in runner.TUNING_SEEDS)
        for k in range(len(cell.grid))
    ]
    assert first.found[cell][0] == cell.grid[finals.index(max(finals))]
    assert list(first.found[cell][1]) == [0, 1]


@pytest.mark.usefixtures('_tiny_stream')
def test_avalanche_that_can_not_be_installed_has_the_figures_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('CLS_ROOT', str(tmp_path))  # here are no pinned packages
    found = runner.run(request(tmp_path, runs_avalanche=True), lambda *_: None)
    figures = avalanche.read_figures()
    assert found.figures_date == figures['date'] and len(figures['date']) == 10
    values, by_seed = found.found[runner.Cell(rows.AVALANCHE, 'none', 'split_digits')]
    kept = [run for run in figures['runs'] if (run['method'], run['benchmark']) == ('none', 'split_digits')]
    assert values == kept[0]['values'] and [by_seed[run['seed']]['final'] for run in kept] == [
        run['final'] for run in kept
    ]


@pytest.mark.usefixtures('_tiny_stream')
def test_figures_that_are_kept_are_shown_where_avalanche_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avalanche, 'FIGURES', tmp_path / 'figures.json')
    avalanche.write_figures(report.document(results(none=[0.3], av_none=[0.41234567, 0.5]))['runs'])
    kept = runner.run(request(tmp_path / 'cache'), lambda *_: None)
    values, by_seed = kept.found[runner.Cell(rows.AVALANCHE, 'none', 'split_digits')]
    assert values == {**ADAM, 'weight': 0.03} and [each['final'] for each in by_seed.values()] == [0.4123, 0.5]
    assert kept.figures_date
    files = draw(report.document(kept), tmp_path / 'plots')
    assert len(files) == 2


def test_figures_of_avalanche_are_there_for_each_method_and_benchmark() -> None:
    known = {(run['method'], run['benchmark']) for run in avalanche.read_figures()['runs']}
    asked = {(method, name) for method in rows.GRIDS[rows.AVALANCHE] for name in STREAMS}
    assert known == asked - {('der++', 'split_digits_told')}


@pytest.mark.parametrize(
    'changes, expected',
    [
        ({'benchmarks': ('nowhere',)}, "unknown benchmark 'nowhere'; expected one of permuted_digits"),
        ({'rows': ((rows.OURS, 'unknown'),)}, "unknown method 'unknown'; expected one of none"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path, changes: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        runner.run(request(tmp_path, **changes), lambda *_: None)
    assert expected in str(error.value)


def result(final: float, worst: float = 0.5) -> dict[str, Any]:
    return {
        'final': final, 'anytime': 0.8, 'worst': worst, 'dip': 0.1, 'forgetting': 0.1, 'bwt': -0.1, 'fwt': 0.0,
        'matrix': [[final, 0.1], [final, final]], 'curve': [final] * 20, 'steps': 10, 'gradients': 320, 'bytes': 0,
        'seconds': 0.5,
    }  # fmt: skip


def results(**finals: list[float]) -> runner.ContinualResults:
    """Returns results on both benchmarks with a target; names of Avalanche begin with `av_`."""
    found: runner.Found = {}
    for name, values in finals.items():
        library = rows.AVALANCHE if name.startswith('av_') else rows.OURS
        method = name.removeprefix('av_').replace('derpp', 'der++')
        for benchmark in report.TARGETS:
            runs = {seed: result(value) for seed, value in enumerate(values)}
            found[runner.Cell(library, method, benchmark)] = ({**ADAM, 'weight': 0.03}, runs)
    return runner.ContinualResults(request(Path(), benchmarks=report.TARGETS), found, '2026-01-02')


def test_the_report_has_a_number_and_an_interval_for_each_figure() -> None:
    found = report.document(results(sleep=[0.9, 0.92], av_replay=[0.8]))
    assert found['switches'] is None and found['figures_date'] == '2026-01-02'
    own, other = (row for row in found['rows'] if row['benchmark'] == 'permuted_digits')
    assert (own['method'], own['library'], own['seeds']) == ('sleep', 'ours', 2)
    assert (other['method'], other['library'], other['final_ci']) == ('replay', 'avalanche', None)
    for name in ('final', 'anytime', 'worst', 'forgetting', 'bwt', 'fwt', 'gradients', 'bytes', 'seconds'):
        low, high = own[f'{name}_ci']
        assert low <= own[name] <= high, name
    assert own['final'] == pytest.approx(0.91)
    assert len(found['runs']) == 6


def test_each_target_is_met_missed_or_not_run() -> None:
    def met(**finals: list[float]) -> list[bool | None]:
        return [each['met'] for each in report.document(results(**finals))['targets']]

    others = {'av_derpp': [0.9], 'av_ewc_online': [0.48], 'ewc_exact': [0.51]}
    assert met(sleep=[0.93], derpp=[0.89], **others) == [True] * 5
    assert met(sleep=[0.91], derpp=[0.87], **others) == [False, False, True, False, False]
    assert met(sleep=[0.93], ewc_exact=[0.49], av_ewc_online=[0.48]) == [True, True, False, None, None]
    assert met(sleep=[0.93]) == [None] * 5
    # On the seeds that both have: a second one of Avalanche does not count.
    assert met(sleep=[0.93], av_derpp=[0.9, 0.96])[:2] == [True, True]


def test_targets_stand_above_tables_that_say_where_figures_come_from(tmp_path: Path) -> None:
    found = report.document(results(sleep=[0.91, 0.92], none=[0.4, 0.5], av_derpp=[0.9]))
    console = Console(width=240, record=True, file=(tmp_path / 'out').open('w'))
    show(found, console)
    lines = console.export_text().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ['missed', 'missed', 'not']
    assert 'der++, 0.900: +0.010 (target >= 0.02)' in lines[0]
    assert any('figures of 2026-01-02' in line for line in lines)
    assert any('kept from task to task' in line for line in lines)
    assert [line.split()[0] for line in lines[-4:]] == ['split_digits', 'none', 'sleep', 'der++']
    assert lines[-2].split()[1:7] == ['ours', '2', 'adam', '0.001', 'weight', '0.03'] and '0.915 ±0.064' in lines[-2]
    files = draw(found, tmp_path / 'plots')
    assert [file.name for file in files] == [
        f'continual_{kind}_{name}.png' for name in report.TARGETS for kind in ('curve', 'final')
    ]
    assert all(file.stat().st_size > 5000 for file in files)


def test_rows_are_of_both_libraries_by_name() -> None:
    assert rows.rows(('replay', 'sleep', 'er_ace')) == (
        ('ours', 'replay'), ('ours', 'sleep'), ('avalanche', 'replay'), ('avalanche', 'er_ace'),
    )  # fmt: skip
    assert [method for library, method in rows.rows((), ('none', 'sleep')) if library == 'ours'] == ['none', 'sleep']
    assert set(METHODS) == set(rows.GRIDS[rows.OURS])


def test_the_command_line_refuses_an_unknown_method_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(['bench', 'continual', '--method', 'unknown', '--cache-dir', str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown method 'unknown'") and said.count('\n') == 1


def test_a_program_of_another_environment_is_given_text_and_its_failure_is_one_line() -> None:
    echo = 'import sys; print(sys.stdin.read().upper()); print(2)'
    assert list(lines_of([sys.executable, '-c', echo], 'given')) == ['GIVEN\n', '2\n']
    with pytest.raises(UserError, match='exit status 0; found ValueError: broken'):
        list(lines_of([sys.executable, '-c', 'raise ValueError("broken")']))
    with pytest.raises(UserError, match='No such file'):
        list(lines_of(['/nowhere/python']))


def test_a_program_whose_lines_are_not_read_to_the_end_is_ended() -> None:
    lines = lines_of([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'])
    assert next(lines) == '1\n'
    lines.close()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_brain_forgets_less_in_a_short_life_than_without_sleep() -> None:
    none, slept = (worlds.run(method, 3, interval=330) for method in ('none', 'sleep'))
    assert slept['forgetting'] < none['forgetting'] and slept['final'] > none['final']
    assert {'found', 'false_per_1000', 'killed_rise'} <= slept.keys()


def test_switches_are_counted_once_each_and_other_alarms_are_false() -> None:
    switches = [Switch(1, 100, 100), Switch(2, 300, 400), Switch(0, 800, 800)]
    found = worlds.switch_metrics(switches, [90, 110, 130, 420, 700, 851], 1000)
    assert found == {'found': 0.5, 'found_gradual': 1.0, 'false_per_1000': 4.0, 'delay': 10.0}


def test_rooms_change_in_the_middle_of_a_walk_without_a_sign() -> None:
    first, again = (world_streams.PanTiltStream(5, 12) for _ in range(2))
    begins = [switch.begin for switch in first.switches]
    steps = [(first.step(first.action())[0], again.step(again.action())[0]) for _ in range(first.length)]
    assert [n for n, (t, _) in enumerate(steps) if t.boundary] == [0]
    assert all(np.array_equal(one.after[EMBEDDING], two.after[EMBEDDING]) for one, two in steps)
    moved = [np.linalg.norm(t.after[JOINTS] - t.before[JOINTS]) for t, _ in steps]
    assert max(moved) <= np.radians(10) * np.sqrt(2) + 1e-6, 'the walk goes on'
    changes = [np.linalg.norm(t.after[EMBEDDING] - t.before[EMBEDDING]) for t, _ in steps]
    assert sorted(np.argsort(changes)[-3:]) == begins, 'another room differs more than any turn'


def test_each_world_has_a_test_of_each_of_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_streams, 'TEST_STREAMS', 2)
    for kind in world_streams.STREAMS.values():
        one, same, other = (kind.test(task, 3) for task in (0, 0, 1))
        assert all(torch.equal(one.senses[name], same.senses[name]) for name in one.senses)
        assert not torch.equal(one.senses[kind.failing], other.senses[kind.failing])
        assert all(len(values) == world_streams.TEST_STREAMS for values in one.senses.values())
        assert one.code.abs().max() <= 1.0


def test_a_report_of_a_world_says_what_was_found_of_its_changes(tmp_path: Path) -> None:
    changes = {'found': 1.0, 'found_gradual': None, 'false_per_1000': 0.5, 'delay': 9.0, 'killed_rise': 0.25}
    cell = runner.Cell(rows.OURS, 'sleep', rows.PAN_TILT)
    found = {cell: (cell.grid[0], {0: result(0.4) | changes})}
    asked = request(Path(), benchmarks=(rows.PAN_TILT,))
    made = report.document(runner.ContinualResults(asked, found, ''))
    assert made['targets'] == [] and made['rows'][0]['found'] == 1.0
    console = Console(width=240, record=True, file=(tmp_path / 'out').open('w'))
    show(made, console)
    said = 'pan_tilt: sleep found 100% of abrupt changes, 0.50 false alarms in 1,000 steps; with one sense stuck'
    assert said in console.export_text()
