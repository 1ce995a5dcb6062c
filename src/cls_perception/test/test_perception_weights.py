"""Sources of backbone weights; missing weights are an error, never replaced."""

import os
from pathlib import Path
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from cls_common.errors import UserError
from cls_perception import encoders
from cls_perception.settings import EncoderSettings

PUBLISHED = 'resnet18-f37072fd.pth'


@pytest.fixture(scope='module')
def state() -> dict[str, torch.Tensor]:
    import torchvision  # a second of processor time, in every worker if it stood above

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return torchvision.models.resnet18().state_dict()


@pytest.fixture
def file(tmp_path: Path, state) -> Path:
    torch.save(state, tmp_path / 'encoder.pth')
    return tmp_path / 'encoder.pth'


def make(weights: str, name: str = 'resnet18') -> encoders.Encoder:
    return encoders.make(EncoderSettings(name=name, weights=weights))


@pytest.mark.parametrize('name', ['resnet50', 'resnet34', 'resnet18', 'r3d_18'])
def test_unavailable_weights_are_an_error_with_advice(name, no_network, empty_cache):
    with pytest.raises(UserError) as caught:
        make('', name)
    text = str(caught.value)
    assert str(empty_cache / name) in text  # where they were looked for
    assert 'https://download.pytorch.org/models/' + name in text
    assert '`weights`' in text and 'retina' in text
    assert '\n' not in text
    assert not list(empty_cache.glob('*.pth'))


def test_published_weights_come_from_the_cache_without_a_network(state, no_network, empty_cache):
    empty_cache.mkdir(parents=True)
    torch.save(state, empty_cache / PUBLISHED)
    encoder = make('')
    assert encoder.config()['origin'] == 'IMAGENET1K_V1'
    saved = safetensors.torch.load(encoder.weights())
    assert torch.equal(saved['backbone.conv1.weight'], state['conv1.weight'])
    assert not any(name.startswith('backbone.fc') for name in saved)


def test_a_damaged_cache_is_an_error_and_not_a_random_backbone(no_network, empty_cache):
    empty_cache.mkdir(parents=True)
    (empty_cache / PUBLISHED).write_bytes(b'half a file')
    with pytest.raises(UserError, match=PUBLISHED):
        make('')


def test_both_kinds_of_files_give_the_same_encoder(file, state, tmp_path, scene):
    safetensors.torch.save_file(state, tmp_path / 'encoder.safetensors')
    one, other = make(str(file)), make(str(tmp_path / 'encoder.safetensors'))
    assert one.id == other.id
    assert one.config()['origin'] == 'file'
    assert one.id != make('random').id
    assert np.array_equal(one.encode(scene[None]), other.encode(scene[None]))


def test_weights_that_are_not_finite_are_refused(file, state, tmp_path):
    broken = {**state, 'layer1.0.conv1.weight': state['layer1.0.conv1.weight'].clone()}
    broken['layer1.0.conv1.weight'][0, 0, 0, 0] = float('nan')
    torch.save(broken, file)
    with pytest.raises(UserError, match=r'finite.*layer1\.0\.conv1\.weight'):
        make(str(file))


def test_weights_of_another_architecture_are_refused(file):
    with pytest.raises(UserError, match='resnet34'):
        make(str(file), 'resnet34')


class Trap:
    """Runs a command when unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    (tmp_path / 'trap.pth').write_bytes(pickle.dumps(Trap(tmp_path / 'proof')))
    torch.save({'conv1.weight': Trap(tmp_path / 'proof')}, tmp_path / 'zip.pth')
    for name in ('trap.pth', 'zip.pth'):
        with pytest.raises(UserError, match=name):
            make(str(tmp_path / name))
    assert not (tmp_path / 'proof').exists()


@pytest.mark.parametrize('content', [None, b'', b'text', b'PK\x03\x04torn'])
@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_a_missing_or_damaged_file_is_an_error_that_names_it(tmp_path, content, suffix):
    path = tmp_path / f'encoder.{suffix}'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        make(str(path))


@pytest.mark.parametrize('name', ['early_resnet18', 'identity'])
def test_encoders_without_weights_take_no_file(name, file):
    with pytest.raises(UserError, match=name):
        encoders.make(EncoderSettings(name=name, weights=str(file)), size=3)
