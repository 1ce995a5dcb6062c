"""Selection of a model's encoder: its files have priority over the default; another requested encoder is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from cls_common.errors import UserError
from cls_perception import encoder_selection, encoders
from cls_perception.clips import Clip
from cls_perception.settings import EncoderNodeSettings, EncoderSettings


def ask(folder: Path, **values: str) -> EncoderNodeSettings:
    return EncoderNodeSettings(models_dir=str(folder), model='bob', **values)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    encoder = encoders.make(EncoderSettings(name='identity'), size=4, modality='pose')
    folder = tmp_path / 'bob' / 'encoder'
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text(json.dumps(encoder.config()))
    (folder / 'weights.safetensors').write_bytes(encoder.weights())
    return tmp_path


def test_a_new_model_gets_the_requested_encoder_else_the_default(tmp_path):
    assert encoder_selection.from_model(ask(tmp_path)) is None
    assert encoder_selection.for_new_model(ask(tmp_path)).name == 'resnet50'
    assert encoder_selection.for_new_model(ask(tmp_path, default_encoder='early_resnet18')).name == 'early_resnet18'
    asked = ask(tmp_path, encoder='resnet18', default_encoder='early_resnet18', weights='random', backend='torch-bf16')
    new = encoder_selection.for_new_model(asked)
    assert (new.name, new.weights, new.backend) == ('resnet18', 'random', 'torch-bf16')


@pytest.mark.parametrize('values', [{}, {'encoder': 'identity'}, {'default_encoder': 'resnet50'}])
def test_a_model_keeps_its_encoder(saved, values):
    encoder = encoder_selection.from_model(ask(saved, **values))
    assert encoder is not None
    assert (encoder.id, encoder.size, encoder.modality) == ('identity-pose-4-float32', 4, 'pose')


def test_another_requested_encoder_is_refused_with_both_names(saved):
    with pytest.raises(UserError, match=r"'bob' was made with encoder 'identity'.*'resnet50' requested"):
        encoder_selection.from_model(ask(saved, encoder='resnet50'))


@pytest.mark.parametrize('missing', ['config.json', 'weights.safetensors'])
def test_an_incomplete_encoder_is_refused(saved, missing):
    (saved / 'bob' / 'encoder' / missing).unlink()
    with pytest.raises(UserError, match=missing):
        encoder_selection.from_model(ask(saved))


@pytest.mark.parametrize('text', ['', '{"name": ', '[]', '{}', '"identity"'])
def test_a_damaged_config_is_refused(saved, text):
    (saved / 'bob' / 'encoder' / 'config.json').write_text(text)
    with pytest.raises(UserError, match='encoder'):
        encoder_selection.from_model(ask(saved))


def image(value: int, height: int = 4) -> np.ndarray:
    return np.full((height, 5, 3), value, np.uint8)


def test_a_clip_holds_the_newest_frames_oldest_first():
    clip = Clip(3)
    values = [clip.add(image(n), n)[0, :, 0, 0, 0].tolist() for n in range(1, 6)]
    assert values == [[1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_a_decreasing_stamp_or_another_size_begins_a_new_clip():
    clip = Clip(3)
    clip.add(image(1), 10)
    assert clip.add(image(2), 9).shape == (1, 1, 4, 5, 3)
    assert clip.add(image(3, height=6), 11).shape == (1, 1, 6, 5, 3)
    assert clip.add(image(4, height=6), 11).shape == (1, 2, 6, 5, 3)


def test_without_clips_each_image_is_passed_alone():
    single = Clip(1)
    single.add(image(1), 1)
    assert single.add(image(2), 2)[:, 0, 0, 0].tolist() == [2]
