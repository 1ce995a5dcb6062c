"""Operations of a saved model, and its export in every format."""

import json
from pathlib import Path
import tarfile

import nir
import pytest
import torch

from cls_cli.entry import main

SMALL = (
    'warmup=10', 'world.hidden=16', 'world.batch_size=8', 'agent.hidden=16', 'agent.starts=8', 'agent.horizon=3',
    'sleep.wake_steps_per_cycle=30', 'sleep.sws_steps=6', 'sleep.rem_steps=4', 'world.capacity=50',
    'agent.network=spiking',
)  # fmt: skip


def run(capsys, *args: object) -> tuple[int, str, str]:
    status = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `cart`, whose actor is spiking and which slept twice."""
    folder = tmp_path_factory.mktemp('models')
    settings = [text for setting in SMALL for text in ('--set', setting)]
    chosen = ['--brain', 'spiking', '--robot', 'gym:CartPole-v1', '--model', 'cart', '--models-dir', str(folder)]
    assert main(['train', *chosen, '--steps', '70', '--seed', '0', *settings]) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    used = ('lock', 'owner.json')
    return {str(p): p.read_bytes() for p in folder.rglob('*') if p.is_file() and p.name not in used}


def test_operations_of_acting_learning_and_sleep_are_counted_and_the_model_stays(capsys, models) -> None:
    before = contents(models)
    status, out, _ = run(capsys, 'models', 'operations', 'cart', '--models-dir', models, '--json')
    assert status == 0 and contents(models) == before
    found = json.loads(out)
    # State of 4, 2 layers of 16 neurons of which the second one runs in each of 4 ticks, trace, 2 actions.
    acting = found['acting']
    assert acting['dense'] == 4 * 16 + 4 * 16 * 16 + 4 * 16 + 16 * 2
    assert 4 * 16 <= acting['macs'] <= 4 * 16 + 16 * 2 and 0 < acting['acs'] < 4 * 16 * 16
    assert found['ops_act'] == acting['effective'] == acting['macs'] + acting['acs']
    assert acting['parameter_updates'] == acting['backward'] == 0 and acting['neuron_ticks'] == 4 * 32
    assert found['awake']['acs'] > 0 and found['awake']['neuron_ticks'] > 0 and 0 < found['spike_rate'] < 1
    asleep, learning = found['asleep'], found['learning']
    assert asleep['backward'] > asleep['dense'] / 10 and asleep['effective'] < asleep['dense']
    assert learning['total'] == pytest.approx(found['awake']['total'] + asleep['total'] / 30)
    assert found['ops_learn'] == learning['total'] and found['sleep'] == 'sws ok, rem ok'
    assert '45 nm' in found['assumptions'] and 'without memory traffic' in found['assumptions']


def test_the_table_of_operations_states_the_assumptions_beside_the_energy(capsys, models) -> None:
    status, out, _ = run(capsys, 'models', 'operations', 'cart', '--models-dir', models)
    assert status == 0
    assert out.splitlines()[0].split() == ['acting', 'learning', 'awake', 'one', 'sleep', 'learning', 'in', 'all']
    assert 'energy, pJ' in out and '4.6 pJ a multiply-accumulate, 0.9 pJ an accumulate' in out
    assert 'a 30th of a sleep' in out


def test_a_model_is_exported_in_every_format(capsys, models, tmp_path) -> None:
    before = contents(models)

    def export(name: str, *options: str) -> str:
        status, out, err = run(
            capsys, 'models', 'export', 'cart', '--models-dir', models, '--output', tmp_path / name, *options
        )
        assert (status, err) == (0, '')
        return out

    assert 'tar -xf' in export('cart.tar')
    with tarfile.open(tmp_path / 'cart.tar') as archive:
        assert 'cart/config.json' in archive.getnames()
    assert 'network actor with 2 layers of neurons, 4 ticks a step' in export('actor.nir', '--format', 'nir')
    graph = nir.read(tmp_path / 'actor.nir')
    assert graph.nodes['affine_0'].weight.shape == (16, 4) and graph.nodes['readout'].weight.shape == (2, 16)
    assert graph.metadata['brain'] == 'spiking' and graph.metadata['normalisation']['scale'].shape == (4,)
    assert json.loads(graph.metadata['settings'])['agent.network'] == 'spiking'
    export('world.nir', '--format', 'nir', '--network', 'world')
    assert nir.read(tmp_path / 'world.nir').nodes['affine_0'].weight.shape == (16, 4 + 2 + 2)
    export('torch', '--format', 'torch')
    critic = torch.load(tmp_path / 'torch' / 'critic.pth', weights_only=True)
    assert critic['model_config']['state_dim'] == 4 and critic['model_config']['action_dim'] == 2
    info = torch.load(tmp_path / 'torch' / 'training_info.pth', weights_only=True)
    assert info['final_stats']['total_episodes'] > 0 and info['config']['world.hidden'] == 16
    assert sum(info['episode_lengths']) <= 70 and info['episode_lengths'] == info['episode_rewards']
    report = tmp_path / 'report.json'
    limits = ('--episodes', '1', '--max-length', '5', '--report', report)
    assert run(capsys, 'evaluate', 'cart', '--models-dir', models, *limits)[0] == 0
    without = int(export('log', '--format', 'tensorboard').split(': ')[1].split()[0])
    output = export('events', '--format', 'tensorboard', '--evaluation', report)
    assert f': {without + 6} figures' in output, 'mean, deviation, best, worst, length and success'
    assert list((tmp_path / 'events').glob('events.out.tfevents.*'))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'actor.nir', 'cart.tar', 'events', 'log', 'report.json', 'torch', 'world.nir',
    ]  # fmt: skip
    assert contents(models) == before


@pytest.mark.parametrize(
    'options, text',
    [
        (
            ('--format', 'nir', '--network', 'critic'),
            "network 'critic' for NIR; expected one spiking network; found none",
        ),
        (('--format', 'nir', '--network', 'sun'), "network 'sun'; expected one of actor, critic, world"),
        (('--format', 'torch', '--network', 'actor'), '--network; expected --format nir; found --format torch'),
        (('--format', 'torch', '--evaluation', '/r'), '--evaluation; expected --format tensorboard; found'),
        (('--format', 'tensorboard', '--evaluation', '/nowhere'), 'expected a report of `./cls evaluate cart`'),
        (('--format', 'tensorboard', '--evaluation', __file__), 'expected a report of `./cls evaluate cart`'),
        (('--format', 'torch', '--output', '/nowhere/x'), 'expected a path in an existing folder'),
        (('--format', 'torch', '--output', '/tmp'), 'expected a new path; found an existing one'),
    ],
)
def test_an_export_that_can_not_be_is_one_line_and_leaves_nothing(capsys, models, tmp_path, options, text) -> None:
    status, _, err = run(
        capsys, 'models', 'export', 'cart', '--models-dir', models, '--output', tmp_path / 'x', *options
    )
    assert status == 2 and text in err and err.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_model_has_no_operations(capsys, tmp_path) -> None:
    (tmp_path / 'empty').mkdir()
    status, _, err = run(capsys, 'models', 'operations', 'empty', '--models-dir', tmp_path)
    assert status == 2 and 'expected a model; found no config.json' in err
