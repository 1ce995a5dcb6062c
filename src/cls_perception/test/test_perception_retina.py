"""The untrained encoder: invariances, and distances of embeddings that grow with the camera's motion."""

import numpy as np
import pytest
import torch

from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.receptive_fields import Isometry, ReceptiveFields
from cls_perception.settings import EncoderSettings


def make(name: str, seed: int = 0) -> Encoder:
    return encoders.make(EncoderSettings(name=name, seed=seed, threads=1, device='cpu'))


@pytest.fixture(scope='module')
def retina() -> Encoder:
    return make('retina')


@pytest.fixture(scope='module')
def wall() -> np.ndarray:
    """A wall of smooth colours, uint8 (224, 480, 3), without black or saturated pixels."""
    coarse = np.random.default_rng(3).uniform(60, 200, (8, 16, 3)).astype(np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse).permute(2, 0, 1)[None], (224, 480), mode='bilinear')
    return fine[0].permute(1, 2, 0).numpy().astype(np.uint8)


def distance(encoder: Encoder, one: np.ndarray, other: np.ndarray) -> float:
    z = encoder.encode(np.stack([one, other]))
    return float(np.linalg.norm(z[0] - z[1]))


def test_views_drift_apart_as_the_camera_turns(retina, wall):
    views = np.stack([wall[:, x : x + 224] for x in range(0, 97, 8)])
    z = retina.encode(views)
    far = np.linalg.norm(z - z[0], axis=1)
    assert (np.diff(far) > 0).all()
    # Smooth: no step is much longer than the others.
    steps = np.linalg.norm(np.diff(z, axis=0), axis=1)
    assert steps.max() < 1.6 * np.median(steps)


def test_exposure_and_noise_change_less_than_the_smallest_move(retina, wall):
    view, moved = wall[:, :224], wall[:, 8:232]  # two degrees
    darker = np.rint(view * 0.8).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 8, view.shape)
    noisy = np.clip(np.rint(view + noise), 0, 255).astype(np.uint8)
    move = distance(retina, view, moved)
    assert distance(retina, view, darker) < 0.5 * move
    assert distance(retina, view, noisy) < 0.5 * move
    thumbnail = make('thumbnail')
    assert distance(thumbnail, view, darker) > distance(thumbnail, view, moved)


def test_a_seed_rotates_the_embedding_and_changes_no_distance(retina, wall):
    other = make('retina', seed=9)
    views = np.stack([wall[:, x : x + 224] for x in (0, 40, 200)])
    one, two = retina.encode(views), other.encode(views)
    assert not np.allclose(one, two)
    gaps = [np.linalg.norm(z[:, None] - z[None], axis=-1) for z in (one, two)]
    np.testing.assert_allclose(*gaps, rtol=1e-4, atol=1e-5)


def test_colour_changes_the_embedding_unlike_a_grey_thumbnail(retina):
    red, green = (np.zeros((96, 96, 3), np.uint8) for _ in range(2))
    red[..., 0], green[..., 1] = 100, round(100 * 0.299 / 0.587)  # as bright
    assert distance(make('thumbnail'), red, green) < 0.02
    assert distance(retina, red, green) > 1.0


def test_fields_average_and_keep_positions():
    fields = ReceptiveFields(96, 6, 0.8)
    assert torch.allclose(fields(torch.full((1, 1, 96, 96), 3.0)), torch.full((1, 1, 6, 6), 3.0))
    spot = torch.zeros(1, 1, 96, 96)
    spot[..., 40, 72] = 1.0  # third row, fifth column of fields of 16 pixels
    row, column = divmod(int(fields(spot).argmax()), 6)
    assert (row, column) == (2, 4)


def test_an_isometry_changes_no_length():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        isometry = Isometry(20, 64)
    features = torch.randn(5, 20, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(isometry(features).norm(dim=1), features.norm(dim=1), rtol=1e-5)
