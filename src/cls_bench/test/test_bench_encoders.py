"""Encoders of the benchmark: trained once, on the first scene's learning walk only, and part of the cache keys."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
import torch

from cls_bench.learning import encoder_training
from cls_bench.learning.cache import BenchCache, check_encoder, make_encoder
from cls_bench.learning.environment import order
from cls_bench.learning.protocol import STREAMS
from cls_bench.learning.scene_data import paths, shots
from cls_common.errors import UserError
from cls_perception.settings import TrainingSettings
from cls_perception.small_images import shrink
from cls_perception.trained_encoder import write_encoder_file
from cls_perception.training import train

PROTOCOL = replace(STREAMS['short'], scenes=2, steps=64, test_walks=1, test_steps=10, pairs=4)
NAME = 'joint_prediction'


def test_an_encoder_is_trained_on_the_learning_walk_of_the_first_scene_of_the_stream() -> None:
    views = encoder_training.first_learning_walk(PROTOCOL, 1)
    scene = order(PROTOCOL, 1)[0]
    found = paths(PROTOCOL, 1, scene)
    assert views.images.shape == (65, 3, 96, 96) and views.actions.abs().max() <= 1.0
    np.testing.assert_allclose(views.actions.numpy() * 10.0, found['learning'].applied, rtol=1e-6)
    seen = [image for name, image in shots(PROTOCOL, found, 1, scene) if name == 'learning']
    assert torch.equal(
        views.images[:3], torch.cat([shrink(torch.from_numpy(image.copy())[None]) for image in seen[:3]])
    )
    assert len(seen) == 65


def test_a_scene_is_encoded_by_the_trained_encoder_of_its_seed(tmp_path: Path) -> None:
    cache = BenchCache(tmp_path)
    settings = TrainingSettings(steps=1, batch_size=4, device='cpu')
    trained = train(NAME, encoder_training.first_learning_walk(PROTOCOL, 0), settings)
    file = cache.encoder_file(PROTOCOL, 0, NAME)
    write_encoder_file(trained, file)
    scene = order(PROTOCOL, 0)[1]
    cache.encode_scene(PROTOCOL, 0, scene, NAME)
    with safe_open(cache.scene_file(PROTOCOL, 0, scene, NAME), framework='pt') as opened:
        assert opened.metadata()['encoder_id'] == trained.id
        assert opened.get_tensor('z.learning').shape == (65, 512)
    assert sorted(path.suffix for path in file.parent.iterdir()) == ['.lock', '.safetensors']


def test_cache_keys_differ_by_encoder_seed_and_protocol(tmp_path: Path) -> None:
    cache = BenchCache(tmp_path)
    longer = replace(PROTOCOL, steps=65)
    files = [
        cache.encoder_file(protocol, seed, name)
        for protocol, seed, name in (
            (PROTOCOL, 0, NAME),
            (PROTOCOL, 1, NAME),
            (longer, 0, NAME),
            (PROTOCOL, 0, 'masked_autoencoder'),
        )
    ]
    assert len(set(files)) == 4
    # Backends share trained weights, not embeddings.
    assert cache.encoder_file(PROTOCOL, 0, f'{NAME}:bf16') == files[0]
    assert cache.scene_file(PROTOCOL, 0, 0, f'{NAME}:bf16') != cache.scene_file(PROTOCOL, 0, 0, NAME)


def test_an_untrained_encoder_has_to_be_named_random() -> None:
    with pytest.raises(UserError, match='no weights'):
        make_encoder(NAME, 0)
    assert make_encoder(f'{NAME}:random', 0).id == make_encoder(f'{NAME}:random', 0).id
    for name in ('retina:random', f'{NAME}:published', 'r3d_18', 'identity'):
        with pytest.raises(UserError):
            check_encoder(name)
    for name in ('retina', 'thumbnail', NAME, f'{NAME}:random', f'{NAME}:bf16', 'resnet18:published'):
        check_encoder(name)
