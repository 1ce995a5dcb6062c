"""A small benchmark run as a whole: frames, encoders, processes, cache, report, table and plots."""

from dataclasses import replace
import io
import json
from pathlib import Path

from click.testing import CliRunner
import numpy as np
import pytest
from rich.console import Console

from cls_bench.learning.cache import source_digest
from cls_bench.learning.environment import order
from cls_bench.learning.jobs import LearningRequest
from cls_bench.learning.plots import draw
from cls_bench.learning.protocol import STREAMS, TUNING_SEED
from cls_bench.learning.report import document, write
from cls_bench.learning.runner import run
from cls_bench.learning.scene_data import paths
from cls_bench.learning.table import show
from cls_cli.commands.bench import command
from cls_cli.entry import main

PROTOCOL = replace(STREAMS['short'], scenes=1, steps=20, test_walks=1, test_steps=12, pairs=4)


@pytest.mark.timeout(300)  # importing torch is slow on a busy machine
def test_a_run_reports_its_baselines_and_a_second_run_uses_the_cache(tmp_path: Path) -> None:
    request = LearningRequest((PROTOCOL,), ('ridge', 'retrieval_change'), ('early_resnet18',), 2, 1, tmp_path / 'cache')
    labels: list[str] = []

    def note(label: str, share: float, of_all: float) -> None:
        assert 0.0 <= share <= 1.0 and 0.0 <= of_all <= 1.0
        labels.append(label)

    report = document(run(request, note)[0])
    assert any('tuning ridge' in label for label in labels) and any('seed 1 scene 0' in label for label in labels)

    files = {file: file.stat().st_mtime_ns for file in (tmp_path / 'cache').rglob('*.*')}
    labels.clear()
    assert document(run(request, note)[0]) == report and not labels
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / 'cache').rglob('*.*')} == files

    write(tmp_path / 'report.json', report)
    stored = json.loads((tmp_path / 'report.json').read_text())
    ridge, retrieval = stored['rows']
    assert (ridge['recipe'], ridge['encoder'], ridge['life']) == ('ridge', 'early_resnet18', 'short')
    assert ridge['skill'] == pytest.approx(np.mean(ridge['skill_by_seed'])) and len(ridge['skill_ci']) == 2
    assert ridge['over_retrieval'] == pytest.approx(ridge['skill'] - retrieval['skill'])
    assert ridge['forgetting'] is None and ridge['over_action_blind'] is None and ridge['skill_at']['10'] is not None
    assert (
        stored['evidence'] == {'early_resnet18': {'fast_before_learning': None, 'earlier_scenes': None}}
        and len(stored['world']) == 16
    )

    text = io.StringIO()
    show(report, Console(file=text, width=240))
    assert stored['world'] in text.getvalue() and 'retrieval_change' in text.getvalue()
    assert all(file.stat().st_size > 1000 for file in draw(report, tmp_path / 'plots'))


def test_a_seed_changes_walks_and_order() -> None:
    one, other = (paths(PROTOCOL, seed, 0) for seed in (0, 1))
    assert not np.array_equal(one['learning'].commanded, other['learning'].commanded)
    assert not np.array_equal(one['test_0'].commanded[:5], one['learning'].commanded[:5])
    five = replace(PROTOCOL, scenes=5)
    assert {tuple(order(five, seed)) for seed in range(10)} > {tuple(order(five, 0))}
    assert sorted(order(five, TUNING_SEED)) == [0, 1, 2, 3, 4]


def test_paths_respect_the_limits_of_the_robot() -> None:
    for path in paths(replace(PROTOCOL, steps=500), 3, 1).values():
        assert np.abs(path.commanded).max() <= 10.0 and (np.abs(path.poses) <= [90.0, 40.0]).all()
    learning = paths(PROTOCOL, 3, 1)['learning']
    assert np.allclose(learning.poses[0], 0.0)
    assert np.allclose(np.diff(learning.poses, axis=0), learning.applied, atol=1e-5)


def test_source_digest_ignores_comments_and_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for text in ('a = 1\n', '"""What."""\n# why\na  =  1\n', 'a = 2\n'):
        (tmp_path / 'measured_program.py').write_text(text)
        digests.append(source_digest(['measured_program']))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize('arguments', [['--recipe', 'unknown'], ['--encoder', 'identity'], ['--protocol', 'eternal']])
def test_wrong_options_are_refused_in_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['bench', 'learning', '--cache-dir', str(tmp_path), *arguments]) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_help_names_every_option() -> None:
    text = CliRunner().invoke(command, ['learning', '--help']).output
    named = ('--recipe', '--encoder', '--world', '--scenes', '--seeds', '--length', '--protocol', '--short')
    for option in (*named, '--report', '--plots-dir'):
        assert option in text
