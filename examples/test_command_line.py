"""Plug-ins at the command line: their settings are listed, taken by every command that learns, kept and shown."""

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from cls_bringup import preflight
from cls_bringup.graph import describe, GraphOptions, REPLAY
from cls_cli.entry import main
from cls_cli.set_options import checked
from cls_common.testing import refusal

CHOSEN = ('--set', 'network.world_model=low_rank', '--set', 'network.low_rank.rank=3')
QUICK = ('--encoder', 'thumbnail', '--seed', '1')


@pytest.fixture(autouse=True)
def aside(tmp_path: Path, installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('command', ['up', 'train', 'replay', 'play'])
def test_help_lists_settings_of_plug_ins(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, '--help']) == 0
    text = ' '.join(capsys.readouterr().out.split())
    for name in ('network.low_rank.rank', 'sleep.shrink_perturb.shrink', 'sim.slider.length', 'encoder.timm.crop'):
        assert name in text


def test_help_of_all_commands_imports_no_plug_in() -> None:
    program = (
        'import sys; from cls_cli.entry import main; main(["--help"]); print({"torch", "timm"} & set(sys.modules))'
    )
    said = subprocess.check_output([sys.executable, '-c', program], text=True)
    assert said.splitlines()[-1] == 'set()'


def test_settings_are_checked_in_their_own_type_and_range() -> None:
    texts = ('network.low_rank.rank=3', 'sim.slider.length=2', 'encoder.timm.crop=true')
    assert checked(texts) == (texts[0], 'sim.slider.length=2.0', texts[2])
    assert 'expected 1 to 4096' in refusal(checked, ['network.low_rank.rank=0'])
    assert 'network.low_rank.rank' in refusal(checked, ['network.low_rank.rnk=3'])


def test_a_model_keeps_them_and_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    encoder = ['--encoder', 'timm:test_vit', '--set', 'encoder.weights=random', '--set', 'encoder.timm.crop=true']
    assert main(['train', '--model', 'm', '--robot', 'slider', '--steps', '3', '--seed', '1', *encoder, *CHOSEN]) == 0
    capsys.readouterr()
    assert main(['config', 'show', 'm']) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['network.low_rank.rank', '3', 'parameter'] in shown and ['encoder.timm.crop', 'True'] in shown
    values = json.loads(Path('models/m/config.json').read_text())['values']
    assert not [name for name in values if 'shrink_perturb' in name]  # installed and not chosen


def test_a_setting_of_a_part_that_is_not_chosen_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['train', '--model', 'm', '--steps', '3', *QUICK, *CHOSEN[2:]]) == 2
    assert "parameters of world model 'low_rank'; expected world_model to name it" in capsys.readouterr().err
    assert not Path('models/m/config.json').exists()


def test_what_is_installed_changes_no_model_that_does_not_use_it(package: Path) -> None:
    assert main(['train', '--model', 'm', '--steps', '3', *QUICK]) == 0
    program = (
        'from pathlib import Path; from cls_learning.model_store.config_file import ModelConfig;'
        "file = Path('models/m/config.json'); print(ModelConfig.from_json(file.read_text(), 'm').sha256)"
    )
    without = os.environ['PYTHONPATH'].removeprefix(f'{package}:')
    hashes = {
        subprocess.check_output([sys.executable, '-c', program], text=True, env={**os.environ, 'PYTHONPATH': path})
        for path in (without, os.environ['PYTHONPATH'])
    }
    assert len(hashes) == 1 and without != os.environ['PYTHONPATH']


def test_settings_reach_their_nodes_before_any_is_started() -> None:
    options = GraphOptions(
        robot='slider', encoder='timm:test_vit',
        settings=checked(['sim.slider.length=2', 'encoder.timm.crop=true', 'encoder.weights=random', *CHOSEN[1::2]]),
    )  # fmt: skip
    processes = {process.name: process for process in describe(options)}
    assert processes['simulator'].parameters['slider.length'] == 2.0
    assert processes['encoder'].parameters['timm.crop'] is True
    assert processes['slow_learner'].parameters['network.low_rank.rank'] == 3
    preflight.check(tuple(processes.values()))


@pytest.mark.usefixtures('fresh_domain')
@pytest.mark.slow
def test_a_whole_graph_of_plug_ins_learns_and_is_replayed(capfd: pytest.CaptureFixture[str]) -> None:
    """Robot, encoder, world model and phase are all of an installed package; then the recording is learned from."""
    learn = [*CHOSEN, '--set', 'sleep.phases=sws shrink_perturb', '--set', 'encoder.weights=random']
    up = ['up', '--robot', 'slider', '--encoder', 'timm:test_resnet', '--lock-step', '--seed', '1', '--steps', '20']
    assert main([*up, '--model', 'lived', '--record', '--set', 'sim.slider.length=2', *learn]) == 0
    config = json.loads(Path('models/lived/config.json').read_text())
    assert config['values']['network.low_rank.rank'] == 3 and config['encoder']['name'] == 'timm:test_resnet'
    assert config['robot']['name'] == 'slider'
    replay = ['replay', 'sessions/slider', '--model', 'replayed', '--seed', '1', *learn]
    assert main(replay) == 0
    values = json.loads(Path('models/replayed/config.json').read_text())['values']
    assert values['network.low_rank.rank'] == 3 and values['sleep.shrink_perturb.steps'] == 100


def test_a_replay_through_the_graph_takes_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    options = GraphOptions(robot=REPLAY, session='a', settings=checked(CHOSEN[1::2]))
    (slow,) = (process for process in describe(options) if process.name == 'slow_learner')
    assert slow.parameters['network.low_rank.rank'] == 3
    for setting, said in (('network.low_rank.rank=0', 'expected 1 to 4096'), ('network.low_rank.r=1', 'low_rank.rank')):
        assert main(['play', '/nowhere', '--set', setting]) == 2
        assert said in capsys.readouterr().err
