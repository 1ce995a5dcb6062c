"""Models of timm as encoders: the contract, the input that timm prescribes, weights by file, and what is refused."""

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import safetensors.torch
import torch

from cls_common.errors import UserError
from cls_common.testing import refusal
from cls_perception import encoders, testing
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings

SMALL = 'timm:test_vit'  # 0.4 million parameters, 160 x 160 pixels


def file_of(folder: Path, model: str = 'test_vit', seed: int = 3) -> Path:
    """Writes random weights of a model as timm publishes them, classifier included."""
    import timm  # seconds of processor time, in every worker if it stood above

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = timm.create_model(model).state_dict()
    path = folder / f'{model}-{seed}.safetensors'
    safetensors.torch.save_file(state, path)
    return path


def make(weights: Path | str, name: str = SMALL, **values: object) -> Encoder:
    chosen = {'name': name, 'weights': str(weights), 'threads': 1, 'device': 'cpu', **values}
    return encoders.make(EncoderSettings.from_flat(chosen))


@pytest.fixture(params=['file', 'random', 'convolutions', 'crop'])
def encoder_settings(request: pytest.FixtureRequest, tmp_path: Path, installed: None) -> EncoderSettings:
    if request.param == 'file':
        return EncoderSettings(name=SMALL, weights=str(file_of(tmp_path)))
    if request.param == 'crop':
        return EncoderSettings.from_flat({'name': SMALL, 'weights': 'random', 'timm.crop': True})
    return EncoderSettings(name=SMALL if request.param == 'random' else 'timm:test_resnet', weights='random')


@pytest.fixture
def encoder(encoder_settings: EncoderSettings) -> Encoder:
    return testing.make(encoder_settings)


class TestTimm(testing.EncoderSuite):
    """With the weights of a file, of a seed, with convolutions, and cropped."""


def test_embeddings_are_those_of_timm_with_its_own_input(tmp_path: Path) -> None:
    """The cropped centre, prepared by timm's own transform on PIL images, leads to nearly the same features."""
    import timm
    import timm.data

    file = file_of(tmp_path)
    encoder = make(file, **{'timm.crop': True})
    model = timm.create_model('test_vit', num_classes=0, checkpoint_path='').eval()
    state = safetensors.torch.load_file(file)
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith('head.')})
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with torch.no_grad():
        expected = encoder.network.projection(model(transform(Image.fromarray(image))[None]))[0].numpy()
    (found,) = encoder.encode(image[None])
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


def test_the_id_names_architecture_weights_and_input(tmp_path: Path) -> None:
    first = make(file_of(tmp_path))
    assert first.id.startswith('timm:test_vit-') and first.id.endswith('-torch-float32')
    others = [make(file_of(tmp_path, seed=4)), make('random'), make(file_of(tmp_path), **{'timm.crop': True})]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert make(file_of(tmp_path)).id == first.id


def test_the_whole_image_is_seen_unless_it_is_cropped() -> None:
    image = np.zeros((1, 120, 160, 3), np.uint8)
    edge = image.copy()
    edge[:, :, :8] = 255
    whole, cropped = make('random'), make('random', **{'timm.crop': True})
    assert not np.allclose(whole.encode(image), whole.encode(edge))
    np.testing.assert_array_equal(cropped.encode(image), cropped.encode(edge))


def test_settings_are_kept_in_the_config() -> None:
    assert make('random', **{'timm.crop': True}).config()['timm.crop'] is True
    with pytest.raises(UserError, match='true or false'):
        make('random', **{'timm.crop': 'yes'})


@pytest.mark.parametrize(
    'name, said',
    [
        ('timm', "encoder 'timm'; expected timm:MODEL"),
        ('timm:', 'expected timm:MODEL'),
        ('timm:test_vitt', 'such as test_vit'),
        ('timm:../x', 'none of this name'),
    ],
)
def test_an_unknown_model_is_refused_with_near_names(name: str, said: str) -> None:
    assert said in refusal(make, 'random', name)


def test_a_file_of_another_model_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert 'Give a file of this architecture' in refusal(make, file_of(tmp_path, 'test_resnet'))
    state = safetensors.torch.load_file(whole := file_of(tmp_path))
    del state['blocks.0.attn.qkv.weight']
    safetensors.torch.save_file(state, tmp_path / 'part.safetensors')
    assert "'model.blocks.0.attn.qkv.weight'; expected" in refusal(make, tmp_path / 'part.safetensors')
    whole.write_bytes(whole.read_bytes()[:-9])
    assert "or `weights` 'random'" in refusal(make, whole)
    assert 'safetensors file' in refusal(make, tmp_path / 'none.safetensors')


def test_weights_that_can_not_be_downloaded_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, 'HF_HUB_OFFLINE', True)  # as by the environment variable: else it tries for 48 s
    monkeypatch.setattr(hub, 'HF_HUB_CACHE', str(tmp_path))
    said = refusal(make, '')
    assert 'expected timm/test_vit.r160_in1k, cached or downloaded' in said
    assert '--set encoder.weights=FILE' in said and 'model.safetensors' in said


def test_a_model_without_pretrained_weights_says_so() -> None:
    assert 'expected none: timm has no weights of it' in refusal(make, '', 'timm:test_vit4')
