"""Contract of all encoders, and properties of single ones."""

from hypothesis import given, HealthCheck, settings, strategies
import numpy as np
from PIL import Image as PillowImage
import pytest
import safetensors.numpy
import torch
from torch import nn

from cls_common.errors import UserError
from cls_perception import encoders, testing, torch_encoder
from cls_perception import weights as weight_files
from cls_perception.encoder import Encoder
from cls_perception.settings import ENCODERS, EncoderSettings

# Parameters of the backbone and of the projection.
PARAMETERS = {
    'resnet50': (23_508_032, 1_049_088),
    'resnet34': (21_284_672, 0),
    'resnet18': (11_176_512, 0),
    'r3d_18': (33_166_272, 0),
    'early_resnet18': (157_504, 524_800),
    'joint_prediction': (27_968, 524_800),
    'masked_autoencoder': (1_927_488, 1_573_376),
    'retina': (0, 82_944),
    'thumbnail': (0, 98_816),
    'identity': (0, 0),
}


WITHOUT_WEIGHTS = ('identity', 'early_resnet18', 'retina', 'thumbnail')


def make(name: str, seed: int = 0, **values: object) -> Encoder:
    weights = '' if name in WITHOUT_WEIGHTS else 'random'
    return encoders.make(EncoderSettings(**{'name': name, 'seed': seed, 'weights': weights, **values}), size=3)


OURS = [name for name in ENCODERS.names() if name not in ENCODERS.installed()]
# resnet34 differs from resnet18 and resnet50, which run by default, in its depth alone.
SUITES = [pytest.param(name, marks=pytest.mark.slow) if name == 'resnet34' else name for name in OURS]


@pytest.fixture(scope='module', params=SUITES)
def encoder_settings(request: pytest.FixtureRequest) -> EncoderSettings:
    return EncoderSettings(name=request.param, weights='' if request.param in WITHOUT_WEIGHTS else 'random')


@pytest.fixture(scope='module')
def encoder(encoder_settings: EncoderSettings) -> Encoder:
    return testing.make(encoder_settings)


class TestEncoders(testing.EncoderSuite):
    """Ours; one of an installed package may need an argument or a file, which its own test gives."""


@pytest.fixture(scope='module')
def early() -> Encoder:
    return make('early_resnet18')


def test_all_encoders_are_listed():
    assert set(OURS) == set(PARAMETERS)


def test_parameter_counts_equal_the_documented_ones_and_all_are_frozen(encoder):
    if encoder.vectors:
        assert safetensors.numpy.load(encoder.weights()) == {}
        return
    network = encoder.network
    counts = tuple(sum(p.numel() for p in part.parameters()) for part in (network.backbone, network.projection))
    assert counts == PARAMETERS[encoder.name]
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize('name', ['early_resnet18', 'resnet18'])
def test_weights_depend_on_the_seed_only(name, scene):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = make(name, seed=5)
    torch.manual_seed(2)
    assert make(name, seed=5).id == first.id
    assert make(name, seed=6).id != first.id
    torch.manual_seed(1)
    make(name, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_projection_has_the_initialisation_of_a_linear_layer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = nn.Linear(2048, 512)
    drawn = torch_encoder.seeded_projection(nn.Linear(2048, 512, device='meta'), 3)
    assert torch.equal(drawn.weight, expected.weight)
    assert torch.equal(drawn.bias, expected.bias)


def test_early_layers_are_those_of_a_resnet18(early, scene):
    import torchvision  # a second of processor time, in every worker if it stood above
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = torchvision.models.resnet18().eval()
    arrays = {name: torch.from_numpy(a) for name, a in safetensors.numpy.load(early.weights()).items()}
    resized = np.asarray(PillowImage.fromarray(scene).resize((224, 224), PillowImage.BILINEAR))
    image = torchvision.transforms.functional.to_tensor(resized.copy())
    image = torchvision.transforms.functional.normalize(image, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        features = create_feature_extractor(whole, ['layer1'])(image[None])['layer1']
        cells = nn.functional.adaptive_avg_pool2d(features, (4, 4)).flatten(1)
        normed = (cells - cells.mean()) / (cells.var(correction=0) + 1e-5).sqrt()
        expected = normed @ arrays['projection.weight'].T + arrays['projection.bias']
    np.testing.assert_allclose(early.encode(scene[None]), expected.numpy(), atol=2e-3)


def test_resizing_equals_pillow_and_keeps_images_of_the_right_size(early):
    big = np.random.default_rng(0).integers(0, 256, (1, 300, 470, 3), dtype=np.uint8)
    ours = torch_encoder.resize(torch.from_numpy(big).permute(0, 3, 1, 2))[0].permute(1, 2, 0).numpy()
    pillow = np.asarray(PillowImage.fromarray(big[0]).resize((224, 224), PillowImage.BILINEAR))
    assert np.abs(ours.astype(int) - pillow).max() <= 1
    right = torch.from_numpy(big[:, :224, :224].copy()).permute(0, 3, 1, 2)
    assert torch_encoder.resize(right) is right


def test_the_thread_count_is_restored_and_changes_only_rounding(early, scene):
    before = torch.get_num_threads()
    for threads in (1, 2):
        other = encoders.load(early.config(), early.weights(), threads=threads)
        assert other.id == early.id
        np.testing.assert_allclose(other.encode(scene[None]), early.encode(scene[None]), atol=1e-5)
        assert torch.get_num_threads() == before


def test_bfloat16_is_another_encoder_with_nearly_the_same_embedding(early, scene):
    half = make('early_resnet18', backend='torch-bf16')
    assert half.id == early.id.replace('float32', 'bfloat16')
    one, other = half.encode(scene[None])[0], early.encode(scene[None])[0]
    assert not np.array_equal(one, other)
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.999
    assert encoders.load(half.config(), half.weights()).id == half.id


def test_different_images_have_different_embeddings(early, scene):
    z = early.encode(np.stack([scene, scene[:, ::-1]]))
    assert np.abs(z[0] - z[1]).max() > 0.05


def test_short_clips_are_padded_with_their_last_frame(scene):
    clips = make('r3d_18')
    short = np.stack([scene, scene[::-1], scene[:, ::-1]])[None]
    full = np.concatenate([short, np.repeat(short[:, -1:], 5, axis=1)], axis=1)
    prepared = [clips.preprocess(torch.from_numpy(np.ascontiguousarray(x))) for x in (short, full)]
    assert prepared[0].shape == (1, 3, 8, 224, 224)
    assert torch.equal(*prepared)
    with pytest.raises(UserError, match='1 to 8'):
        clips.encode(np.concatenate([full, full], axis=1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.data())
def test_one_changed_bit_is_refused(early, data):
    changed = bytearray(early.weights())
    # The header is short compared to the weights: half of the changes are in it.
    end = data.draw(strategies.sampled_from([2000, len(changed)]))
    changed[data.draw(strategies.integers(0, end - 1))] ^= 1 << data.draw(strategies.integers(0, 7))
    with pytest.raises(UserError, match='weights of encoder'):
        encoders.load(early.config(), bytes(changed))


def test_saved_weights_that_are_not_finite_are_refused(early):
    arrays = safetensors.numpy.load(early.weights())
    arrays['projection.bias'][3] = np.nan
    config = {**early.config(), 'digest': weight_files.digest(arrays)}
    with pytest.raises(UserError, match='finite'):
        encoders.load(config, weight_files.to_bytes(arrays))


@pytest.mark.parametrize('config', [{}, [], {'name': 'vgg'}, {'name': 'early_resnet18', 'backend': 'abacus'}])
def test_an_unknown_config_is_refused(early, config):
    with pytest.raises(UserError):
        encoders.load(config, early.weights())


def test_observations_must_fit_and_be_finite():
    identity = make('identity')
    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    assert np.array_equal(identity.encode(x), x)
    for wrong in (x[:, :2], np.array([[1.0, np.nan, 0.0]], np.float32), np.array([[np.inf, 0, 0]], np.float32)):
        with pytest.raises(UserError):
            identity.encode(wrong)
    assert make('identity').id != encoders.make(EncoderSettings(name='identity'), size=4).id


def test_non_finite_embeddings_are_refused(early, scene):
    broken = encoders.load(early.config(), early.weights())
    broken.network.projection.bias[0] = float('inf')
    with pytest.raises(UserError, match='finite'):
        broken.encode(scene[None])


@pytest.mark.parametrize('device', ['abacus', 'cuda:99', 'meta'])
def test_a_missing_device_is_named(device):
    with pytest.raises(UserError, match=device):
        make('early_resnet18', device=device)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match='early_resnet18, identity'):
        encoders.make(EncoderSettings(name='resnet_50'))
