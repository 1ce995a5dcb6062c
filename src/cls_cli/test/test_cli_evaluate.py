"""`./cls evaluate` as it is typed."""

import json

import pytest

from cls_cli import entry

SMALL = (
    'warmup=10', 'world.hidden=8', 'world.batch_size=8', 'agent.hidden=8', 'agent.starts=4', 'agent.horizon=2',
    'sleep.wake_steps_per_cycle=20', 'sleep.sws_steps=1', 'sleep.rem_steps=1',
)  # fmt: skip


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    settings = [word for text in SMALL for word in ('--set', text)]
    words = ['train', '--brain', 'spiking', '--robot', 'gym:CartPole-v1', '--steps', '20', '--seed', '1', *settings]
    assert entry.main([*words, '--model', 'balance', '--models-dir', str(folder)]) == 0
    return folder


def evaluate(models, *words):
    return entry.main(['evaluate', *words, '--models-dir', str(models)])


def test_figures_are_printed_a_line_each_and_written_as_json(models, tmp_path, capsys):
    capsys.readouterr()
    assert evaluate(models, 'balance', '--episodes', '3', '--seed', '2', '--report', str(tmp_path / 'r.json')) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    report = json.loads((tmp_path / 'r.json').read_text())
    assert lines[0] == 'balance after 20 steps, on gym:CartPole-v1, greedy episodes: 3'
    printed = dict(line.rsplit(maxsplit=1) for line in lines[1:])
    assert list(printed) == [
        'mean reward', 'standard deviation', 'lowest reward', 'highest reward', 'mean length', 'success rate',
    ]  # fmt: skip
    assert printed['mean reward'] == f'{sum(report["rewards"]) / 3:.2f}' and len(report['lengths']) == 3
    assert (report['model'], report['seed'], report['success_rate']) == ('balance', 2, 0.0)


def test_names_of_the_original_visualiser_are_accepted_with_a_note(models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert evaluate(models, '--model_path', 'balance', '--num_episodes', '1', '--visualize') == 0
    said = capsys.readouterr()
    assert 'greedy episodes: 1' in said.out and said.err.startswith('note: ')
    assert (tmp_path / 'evaluation.mp4').stat().st_size > 1000


@pytest.mark.parametrize(
    'words, expected',
    [
        (['nothing'], "no model 'nothing' in "),
        (['balance', '--robot', 'gym:Pendulum-v1'], "robot 'gym:Pendulum-v1'; expected actions of"),
        (['balance', '--set', 'agent.hidden=3'], '--set agent.hidden=3; expected sim.NAME=VALUE'),
        (['balance', '--set', 'sim.nothing=3'], "unknown setting 'sim.nothing'"),
        (['balance', '--render', 'a.avi'], 'video a.avi; expected a name that ends in .mp4'),
        (['balance', '--episodes', '0'], "Invalid value for '--episodes'"),
    ],
)
def test_a_mistake_is_one_line(models, words, expected, capsys):
    assert evaluate(models, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith('error: ') and expected in said and said.count('\n') == 1
