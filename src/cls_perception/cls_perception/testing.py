"""The contract of every encoder as tests. Subclass it beside an encoder, with its two fixtures."""

import json

import numpy as np
from numpy.typing import NDArray
import safetensors.numpy
import torch

from cls_common.testing import refusal

from . import encoders
from . import weights as weight_files
from .encoder import Array, EMBEDDING_SIZE, Encoder
from .settings import EncoderSettings
from .threads import thread_count

OBSERVATION_SIZE = 3  # of the robot of vector encoders


def make(settings: EncoderSettings) -> Encoder:
    """Makes the encoder under test."""
    return encoders.make(settings, size=OBSERVATION_SIZE)


def sample(encoder: Encoder, height: int = 90, width: int = 120) -> Array:
    """Returns a batch of one input: an image of a few shapes, uint8 (1, H, W, 3), or clip, or vector (1, N)."""
    if encoder.vectors:
        return np.array([[0.5, -2.0, 1e6]], np.float32)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 2, columns * 2, (rows + columns) % 40 * 6], axis=-1).astype(np.uint8)
    image[20:60, 30:50] = (250, 20, 90)
    return image[None, None] if encoder.frames > 1 else image[None]


class EncoderSuite:
    """Tests of one encoder.

    Fixtures:
        encoder_settings (EncoderSettings): what it is made with.
        encoder (Encoder): `testing.make(encoder_settings)`; may be shared by all tests, none changes it.
    """

    def test_embeddings_have_the_shape_and_type_of_the_contract(self, encoder: Encoder) -> None:
        z: NDArray[np.float32] = encoder.encode(sample(encoder))
        assert z.dtype == np.float32
        assert z.shape == (1, encoder.size)
        assert np.isfinite(z).all()
        assert encoder.id.startswith(encoder.name)
        assert encoder.version == 1
        assert encoder.modality == ('state' if encoder.vectors else 'camera')
        assert encoder.size == (OBSERVATION_SIZE if encoder.vectors else EMBEDDING_SIZE)

    def test_saving_and_loading_gives_equal_embeddings(self, encoder: Encoder) -> None:
        state = torch.random.get_rng_state()
        again = encoders.load(json.loads(json.dumps(encoder.config())), encoder.weights())
        assert torch.equal(torch.random.get_rng_state(), state)
        assert again.id == encoder.id
        assert (again.size, again.modality, again.version) == (encoder.size, encoder.modality, encoder.version)
        assert again.config() == encoder.config()
        x = sample(encoder)
        assert np.array_equal(again.encode(x), encoder.encode(x))

    def test_its_name_in_the_config_is_the_one_it_was_made_by(
        self, encoder: Encoder, encoder_settings: EncoderSettings
    ) -> None:
        assert encoder.config()['name'] == encoder_settings.name

    def test_weights_do_not_depend_on_threads_or_on_earlier_draws(
        self, encoder: Encoder, encoder_settings: EncoderSettings
    ) -> None:
        ids = set()
        for threads in (1, 2):
            torch.rand(3)
            with thread_count(threads):
                ids.add(make(encoder_settings).id)
        assert ids == {encoder.id}

    def test_images_of_any_size_are_taken(self, encoder: Encoder) -> None:
        for height, width in ((224, 224), (31, 300)):
            assert encoder.encode(sample(encoder, height, width)).shape == (1, encoder.size)

    def test_each_input_of_a_batch_has_its_own_embedding(self, encoder: Encoder) -> None:
        x = sample(encoder)
        other = x * 2 if encoder.vectors else x[..., ::-1, :].copy()
        both = encoder.encode(np.concatenate([x, other]))
        alone = np.concatenate([encoder.encode(x), encoder.encode(other)])
        np.testing.assert_allclose(both, alone, atol=1e-4, rtol=1e-4)
        assert not np.allclose(both[0], both[1])

    def test_embedding_does_not_change_weights(self, encoder: Encoder) -> None:
        encoder.encode(sample(encoder))
        arrays = safetensors.numpy.load(encoder.weights())
        assert weight_files.digest(arrays) == encoder.config()['digest']

    def test_invalid_inputs_are_refused(self, encoder: Encoder) -> None:
        x = sample(encoder)
        wrong = [x[0], x.astype(np.float64), x[..., :2], *([] if encoder.vectors else [x[:0]])]
        for each in wrong:
            assert 'expected' in refusal(encoder.encode, each)

    def test_truncated_weights_are_refused(self, encoder: Encoder) -> None:
        weights = encoder.weights()
        for torn in (b'', weights[: len(weights) // 2], weights[:-1], b'\x80\x04' + weights):
            assert 'weights of encoder' in refusal(encoders.load, encoder.config(), torn)

    def test_weights_of_another_encoder_are_refused(self, encoder: Encoder) -> None:
        # Valid safetensors of no encoder, with their own digest.
        arrays = {'other': np.ones(3, np.float32)}
        foreign = weight_files.to_bytes(arrays)
        for config in (encoder.config(), {**encoder.config(), 'digest': weight_files.digest(arrays)}):
            assert refusal(encoders.load, config, foreign)
