"""Eyes in the bench: trained on the first lived scene's learning walk and on nothing else, once, and named in keys."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
import torch

from cls_bench.learning import eyes
from cls_bench.learning.plan import LIVES
from cls_bench.learning.scenes import paths, shots
from cls_bench.learning.store import check_encoder, make_encoder, Store
from cls_bench.learning.world import order
from cls_common.errors import UserError
from cls_perception.settings import TrainingSettings
from cls_perception.small_images import shrink
from cls_perception.trained_encoder import write_encoder_file
from cls_perception.training import train

PLAN = replace(LIVES['short'], scenes=2, steps=64, test_walks=1, test_steps=10, pairs=4)
NAME = 'joint_prediction'


def test_the_first_minutes_are_the_learning_walk_of_the_scene_lived_in_first():
    views = eyes.first_minutes(PLAN, 1)
    scene = order(PLAN, 1)[0]
    found = paths(PLAN, 1, scene)
    assert views.images.shape == (65, 3, 96, 96) and views.actions.abs().max() <= 1.0
    np.testing.assert_allclose(views.actions.numpy() * 10.0, found['learning'].applied, rtol=1e-6)
    seen = [image for name, image in shots(PLAN, found, 1, scene) if name == 'learning']
    assert torch.equal(
        views.images[:3], torch.cat([shrink(torch.from_numpy(image.copy())[None]) for image in seen[:3]])
    )
    assert len(seen) == 65


def test_a_scene_is_seen_by_the_eyes_of_its_seed(tmp_path: Path):
    store = Store(tmp_path)
    settings = TrainingSettings(steps=1, batch_size=4, device='cpu')
    trained = train(NAME, eyes.first_minutes(PLAN, 0), settings)
    file = store.eyes_file(PLAN, 0, NAME)
    write_encoder_file(trained, file)
    scene = order(PLAN, 0)[1]
    store.encode_scene(PLAN, 0, scene, NAME)
    with safe_open(store.scene_file(PLAN, 0, scene, NAME), framework='pt') as opened:
        assert opened.metadata()['encoder_id'] == trained.id
        assert opened.get_tensor('z.learning').shape == (65, 512)
    assert sorted(path.suffix for path in file.parent.iterdir()) == ['.lock', '.safetensors']


def test_keys_tell_eyes_apart(tmp_path: Path):
    store = Store(tmp_path)
    longer = replace(PLAN, steps=65)
    files = [store.eyes_file(plan, seed, name) for plan, seed, name in (
        (PLAN, 0, NAME), (PLAN, 1, NAME), (longer, 0, NAME), (PLAN, 0, 'masked_autoencoder'),
    )]  # fmt: skip
    assert len(set(files)) == 4
    # Backends share what was trained, and embed each for itself.
    assert store.eyes_file(PLAN, 0, f'{NAME}:bf16') == files[0]
    assert store.scene_file(PLAN, 0, 0, f'{NAME}:bf16') != store.scene_file(PLAN, 0, 0, NAME)


def test_untrained_eyes_are_had_by_name_only():
    with pytest.raises(UserError, match='no weights'):
        make_encoder(NAME, 0)
    assert make_encoder(f'{NAME}:random', 0).id == make_encoder(f'{NAME}:random', 0).id
    for name in ('retina:random', f'{NAME}:published', 'r3d_18', 'identity'):
        with pytest.raises(UserError):
            check_encoder(name)
    for name in ('retina', 'thumbnail', NAME, f'{NAME}:random', f'{NAME}:bf16', 'resnet18:published'):
        check_encoder(name)
