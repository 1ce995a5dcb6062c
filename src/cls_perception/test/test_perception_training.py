"""Eyes trained on what a robot saw and did: direction, determinism, what is refused, and the file they travel in."""

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
from cls_perception.encoders.masked_autoencoder import cut, Filling, Patches
from cls_perception.objective import Batch, Views
from cls_perception.settings import EncoderSettings, TrainingSettings
from cls_perception.trained_encoder import Principal, read_eyes, TrainedEncoder, write_eyes
from cls_perception.training import FEWEST, find_trainable, train

TRAINED = ('joint_prediction', 'masked_autoencoder')
QUICK = {'batch_size': 4, 'device': 'cpu'}


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of such small networks only wait for each other where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def views() -> Views:
    """A picture of which the camera sees a part, moved by each action: two pixels at most."""
    draws = np.random.default_rng(0)
    coarse = torch.from_numpy(draws.uniform(0, 255, (1, 3, 16, 16)))
    wall = nn.functional.interpolate(coarse, (160, 160), mode='bicubic').clamp(0, 255).to(torch.uint8)[0]
    places = np.clip(32 + np.cumsum(draws.integers(-2, 3, (FEWEST + 1, 2)), axis=0), 0, 64)
    images = torch.stack([wall[:, y : y + 96, x : x + 96] for x, y in places])
    steps = torch.arange(FEWEST)
    return Views(images, steps, steps + 1, torch.from_numpy(np.diff(places, axis=0) / 2).float())


@pytest.fixture(scope='module', params=TRAINED)
def eyes(request: pytest.FixtureRequest, views: Views) -> TrainedEncoder:
    return train(request.param, views, TrainingSettings(steps=2, **QUICK), origin={'sessions': ['first']})


def test_trained_eyes_pass_through_their_file(eyes, views, tmp_path):
    write_eyes(eyes, tmp_path / 'eyes.safetensors')
    settings = EncoderSettings(name=eyes.name, weights=str(tmp_path / 'eyes.safetensors'), threads=1, device='cpu')
    again = encoders.make(settings)
    images = views.images[:2].permute(0, 2, 3, 1).numpy()
    assert again.id == eyes.id and again.config() == eyes.config()
    assert np.array_equal(again.encode(images), eyes.encode(images))
    assert [path.name for path in tmp_path.iterdir()] == ['eyes.safetensors']
    half = encoders.make(dataclasses.replace(settings, backend='torch-bf16'))
    assert half.id == eyes.id.replace('float32', 'bfloat16')


def test_the_config_says_how_they_came_about(eyes):
    training = eyes.config()['training']
    assert (training['steps'], training['batch_size'], training['views']) == (2, 4, FEWEST + 1)
    assert training['sessions'] == ['first'] and eyes.config()['origin'] == 'trained'


def test_a_seed_decides_everything_and_global_state_nothing(views):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    ids = [
        train('joint_prediction', views, TrainingSettings(steps=2, seed=seed, **QUICK)).id for seed in (3, 3, 4)
    ]  # fmt: skip
    assert ids[0] == ids[1] != ids[2]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(('name', 'steps'), [('joint_prediction', 40), ('masked_autoencoder', 20)])
def test_the_loss_falls(name, steps, views):
    losses: list[float] = []
    train(name, views, TrainingSettings(steps=steps, **QUICK), lambda _, loss: losses.append(loss))
    assert len(losses) == steps
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


@pytest.mark.parametrize('name', TRAINED)
def test_without_weights_the_error_says_how_to_train(name):
    with pytest.raises(UserError, match=rf'no weights.*run --record.*\./cls eyes SESSION --encoder {name} --model'):
        encoders.make(EncoderSettings(name=name))


def test_untrained_eyes_are_had_only_by_name():
    assert encoders.make(EncoderSettings(name='joint_prediction', weights='random')).config()['origin'] == 'random'


@pytest.mark.parametrize('content', [None, b'', b'no safetensors'])
def test_a_torn_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'torn.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r'torn\.safetensors'):
        encoders.make(EncoderSettings(name='joint_prediction', weights=str(path)))


def test_files_of_others_are_refused(tmp_path, eyes):
    path = tmp_path / 'plain.safetensors'
    safetensors.numpy.save_file({'a': np.zeros(3, np.float32)}, path)
    with pytest.raises(UserError, match='eyes --out'):
        read_eyes(path)
    write_eyes(eyes, tmp_path / 'eyes.safetensors')
    other = next(name for name in TRAINED if name != eyes.name)
    with pytest.raises(UserError, match=f'expected {other}; found {eyes.name}'):
        encoders.make(EncoderSettings(name=other, weights=str(tmp_path / 'eyes.safetensors')))


def test_changed_weights_are_refused(tmp_path, eyes):
    path = tmp_path / 'eyes.safetensors'
    write_eyes(eyes, path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 8
    path.write_bytes(data)
    with pytest.raises(UserError, match='digest'):
        encoders.make(EncoderSettings(name=eyes.name, weights=str(path)))


def test_what_learns_nothing_is_not_trained(views):
    with pytest.raises(UserError, match='one of joint_prediction, masked_autoencoder'):
        find_trainable('retina')
    few = dataclasses.replace(views, before=views.before[1:], after=views.after[1:], actions=views.actions[1:])
    with pytest.raises(UserError, match=f'at least {FEWEST} steps; found {FEWEST - 1}'):
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
        plain = Principal(3, 0.0).fit(features, draws)(features)
        white = Principal(3, 1.0).fit(features, draws)(features)
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


def test_what_is_hidden_is_not_seen():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = Filling(Patches())
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    seen: list[torch.Tensor] = []
    objective.fill.register_forward_hook(lambda module, given, filled: seen.append(filled))
    objective.loss(Batch(images, images, torch.zeros(1, 2)), torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad(seen[0].sum(), images)
    is_used = cut(gradient + 0.5).abs().sum(-1) > 0
    assert int(is_used.sum()) == 9  # a quarter of 36


def test_spread_asks_for_deviations_of_one_without_correlation():
    draws = torch.Generator().manual_seed(0)
    free = torch.randn(20_000, 3, generator=draws)
    variance, covariance = _spread(free)
    assert float(variance) < 0.02 and float(covariance) < 0.01
    assert float(_spread(torch.zeros(10, 3))[0]) == pytest.approx(0.99, abs=1e-3)
    same = free[:, :1].expand(-1, 3)
    assert float(_spread(same)[1]) == pytest.approx(2.0, abs=0.1)  # 6 of 9 entries of 1, over 3 channels
