"""Training of encoders: determinism, refusals, projection, and the encoder file."""

from collections.abc import Iterator
import dataclasses
import math

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

from cls_common.errors import UserError
from cls_perception import encoders
from cls_perception.encoders.joint_prediction import _spread
from cls_perception.encoders.masked_autoencoder import cut, PatchReconstruction, PatchTransformer
from cls_perception.objective import ImagePairs, TrainingBatch
from cls_perception.settings import EncoderSettings, TrainingSettings
from cls_perception.trained_encoder import PrincipalProjection, read_encoder_file, TrainedEncoder, write_encoder_file
from cls_perception.training import find_trainable, MIN_STEPS, train

TRAINED = ('joint_prediction', 'masked_autoencoder')
QUICK = {'batch_size': 4, 'device': 'cpu'}


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """One thread: with small networks more threads only wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def views() -> ImagePairs:
    """Views of a part of an image, moved by each action by at most two pixels."""
    draws = np.random.default_rng(0)
    coarse = torch.from_numpy(draws.uniform(0, 255, (1, 3, 16, 16)))
    wall = nn.functional.interpolate(coarse, (160, 160), mode='bicubic').clamp(0, 255).to(torch.uint8)[0]
    places = np.clip(32 + np.cumsum(draws.integers(-2, 3, (MIN_STEPS + 1, 2)), axis=0), 0, 64)
    images = torch.stack([wall[:, y : y + 96, x : x + 96] for x, y in places])
    steps = torch.arange(MIN_STEPS)
    return ImagePairs(images, steps, steps + 1, torch.from_numpy(np.diff(places, axis=0) / 2).float())


@pytest.fixture(scope='module', params=TRAINED)
def trained(request: pytest.FixtureRequest, views: ImagePairs) -> TrainedEncoder:
    return train(request.param, views, TrainingSettings(steps=2, **QUICK), origin={'sessions': ['first']})


def test_a_trained_encoder_is_restored_from_its_file(trained, views, tmp_path):
    write_encoder_file(trained, tmp_path / 'encoder.safetensors')
    settings = EncoderSettings(
        name=trained.name, weights=str(tmp_path / 'encoder.safetensors'), threads=1, device='cpu'
    )
    again = encoders.make(settings)
    images = views.images[:2].permute(0, 2, 3, 1).numpy()
    assert again.id == trained.id and again.config() == trained.config()
    assert np.array_equal(again.encode(images), trained.encode(images))
    assert [path.name for path in tmp_path.iterdir()] == ['encoder.safetensors']
    half = encoders.make(dataclasses.replace(settings, backend='torch-bf16'))
    assert half.id == trained.id.replace('float32', 'bfloat16')


def test_the_config_describes_the_training(trained):
    training = trained.config()['training']
    assert (training['steps'], training['batch_size'], training['views']) == (2, 4, MIN_STEPS + 1)
    assert training['sessions'] == ['first'] and trained.config()['origin'] == 'trained'


def test_weights_depend_on_the_seed_only(views):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    ids = [train('joint_prediction', views, TrainingSettings(steps=2, seed=seed, **QUICK)).id for seed in (3, 3, 4)]
    assert ids[0] == ids[1] != ids[2]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(('name', 'steps'), [('joint_prediction', 40), ('masked_autoencoder', 20)])
def test_the_loss_decreases(name, steps, views):
    losses: list[float] = []
    train(name, views, TrainingSettings(steps=steps, **QUICK), lambda _, loss: losses.append(loss))
    assert len(losses) == steps
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


@pytest.mark.parametrize('name', TRAINED)
def test_without_weights_the_error_explains_training(name):
    with pytest.raises(
        UserError, match=rf'no weights.*run --record.*\./cls encoder train SESSION --encoder {name} --model'
    ):
        encoders.make(EncoderSettings(name=name))


def test_untrained_weights_require_weights_random():
    assert encoders.make(EncoderSettings(name='joint_prediction', weights='random')).config()['origin'] == 'random'


@pytest.mark.parametrize('content', [None, b'', b'no safetensors'])
def test_a_truncated_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'torn.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r'torn\.safetensors'):
        encoders.make(EncoderSettings(name='joint_prediction', weights=str(path)))


def test_other_files_are_refused(tmp_path, trained):
    path = tmp_path / 'plain.safetensors'
    safetensors.numpy.save_file({'a': np.zeros(3, np.float32)}, path)
    with pytest.raises(UserError, match='encoder train --output'):
        read_encoder_file(path)
    write_encoder_file(trained, tmp_path / 'encoder.safetensors')
    other = next(name for name in TRAINED if name != trained.name)
    with pytest.raises(UserError, match=f'expected {other}; found {trained.name}'):
        encoders.make(EncoderSettings(name=other, weights=str(tmp_path / 'encoder.safetensors')))


def test_changed_weights_are_refused(tmp_path, trained):
    path = tmp_path / 'encoder.safetensors'
    write_encoder_file(trained, path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 8
    path.write_bytes(data)
    with pytest.raises(UserError, match='digest'):
        encoders.make(EncoderSettings(name=trained.name, weights=str(path)))


def test_untrainable_encoders_are_refused(views):
    with pytest.raises(UserError, match='one of joint_prediction, masked_autoencoder'):
        find_trainable('retina')
    few = dataclasses.replace(views, before=views.before[1:], after=views.after[1:], actions=views.actions[1:])
    with pytest.raises(UserError, match=f'at least {MIN_STEPS} steps; found {MIN_STEPS - 1}'):
        train('joint_prediction', few, TrainingSettings(steps=1, **QUICK))
    endless = dataclasses.replace(views, actions=views.actions * math.inf)
    with pytest.raises(UserError, match='finite loss'):
        train('joint_prediction', endless, TrainingSettings(steps=1, **QUICK))


def test_the_projection_keeps_the_strongest_directions_and_their_distances():
    draws = torch.Generator().manual_seed(0)
    strong = torch.randn(200, 3, generator=draws) * torch.tensor([4.0, 2.0, 1.0])
    basis = torch.linalg.qr(torch.randn(40, 40, generator=draws)).Q
    features = torch.cat([strong, 0.01 * torch.randn(200, 37, generator=draws)], dim=1) @ basis + 7.0
    with torch.no_grad():
        plain = PrincipalProjection(3, 0.0).fit(features, draws)(features)
        white = PrincipalProjection(3, 1.0).fit(features, draws)(features)
    assert plain.shape == (200, 512)
    strengths = (strong - strong.mean(0)).T.double() @ (strong - strong.mean(0)).double() / 200
    first = torch.linalg.eigvalsh(strengths)[-1].sqrt()
    expected = torch.cdist(strong, strong) / first
    assert torch.allclose(torch.cdist(plain, plain), expected.float(), atol=0.05)
    values = torch.linalg.svdvals(white) / 200**0.5
    assert torch.allclose(values[:3], torch.ones(3), atol=1e-3) and values[3] < 1e-4


def test_patches_are_cut_row_by_row():
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    patch = cut(images)[1, 6 + 2]  # second row, third column
    assert torch.equal(patch, images[1, :, 16:32, 32:48].flatten() - 0.5)


def test_hidden_patches_do_not_reach_the_encoder():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = PatchReconstruction(PatchTransformer())
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    seen: list[torch.Tensor] = []
    objective.fill.register_forward_hook(lambda module, given, filled: seen.append(filled))
    objective.loss(TrainingBatch(images, images, torch.zeros(1, 2)), torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad(seen[0].sum(), images)
    is_used = cut(gradient + 0.5).abs().sum(-1) > 0
    assert int(is_used.sum()) == 9  # a quarter of 36


def test_spread_is_zero_for_uncorrelated_deviations_of_one():
    draws = torch.Generator().manual_seed(0)
    free = torch.randn(20_000, 3, generator=draws)
    variance, covariance = _spread(free)
    assert float(variance) < 0.02 and float(covariance) < 0.01
    assert float(_spread(torch.zeros(10, 3))[0]) == pytest.approx(0.99, abs=1e-3)
    same = free[:, :1].expand(-1, 3)
    assert float(_spread(same)[1]) == pytest.approx(2.0, abs=0.1)  # 6 of 9 entries of 1, over 3 channels
