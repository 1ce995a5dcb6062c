"""Recorded sessions for a brain that perceives images and vectors themselves, and that gives no score."""

from pathlib import Path
import shutil

import pytest

from cls_bringup.graph import describe, GraphOptions
from cls_cli.entry import main
from cls_common.errors import UserError

ROOT = Path(__file__).parent
SESSION = ROOT / 'fixtures' / 'version_1' / 'session_20261126_002216'
ENTRY = '[cls_learning.brains]\nnull = null_brain\n'


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package test/null_brains as if installed."""
    about = tmp_path / 'site' / 'null_brains-1.0.dist-info'
    about.mkdir(parents=True)
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: null-brains\nVersion: 1.0\n', encoding='utf-8')
    (about / 'entry_points.txt').write_text(ENTRY, encoding='utf-8')
    shutil.copy(ROOT / 'null_brains' / 'null_brain.py', tmp_path / 'site')
    monkeypatch.syspath_prepend(tmp_path / 'site')


def play(models_dir: Path, **options: str) -> dict[str, dict[str, object]]:
    """Returns the parameters of each process of a replay, by node."""
    chosen = {'session': str(SESSION), 'models_dir': str(models_dir), **options}
    return {p.name: p.parameters for p in describe(GraphOptions(robot='replay', **chosen))}


def test_the_player_is_told_what_a_new_brain_perceives_of_the_recorded_robot(tmp_path: Path) -> None:
    found = play(tmp_path, brain='null')
    assert list(found) == ['player', 'fast_learner', 'slow_learner']
    assert found['player']['senses'] == 'camera'
    assert 'senses' not in play(tmp_path)['player']


def test_the_player_is_told_what_the_brain_of_an_existing_model_perceives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ['--models-dir', str(tmp_path), '--model', 'm']
    assert main(['replay', str(SESSION), '--brain', 'null', *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'no loss: this brain gives no score' in lines
    assert not [line for line in lines if 'nan' in line or 'copying' in line]
    assert play(tmp_path, model='m')['player']['senses'] == 'camera'


def test_a_replay_until_the_loss_stays_needs_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['replay', str(SESSION), '--brain', 'null', '--models-dir', str(tmp_path), '--model', 'm']
    assert main([*arguments, '--until-plateau']) == 2
    assert 'expected a brain that gives a score; found none' in capsys.readouterr().err
    assert main(arguments) == 0  # what was learned is kept


def test_a_session_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='expected a session'):
        play(tmp_path, brain='null', session='/nowhere')
