"""Encoders by name, one file each, which defines ENCODER.

A file is imported when its encoder is used, so that vector observations do not import torch.
"""

from typing import Any

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..encoder import CAMERA, Encoder
from ..settings import ENCODERS, EncoderSettings

__all__ = ['Encoder', 'check_sense', 'find', 'load', 'make']


def find(name: str) -> type[Encoder]:
    """Returns the class of an encoder by name; raises UserError for an unknown name."""
    encoder: type[Encoder] = ENCODERS.find(name).ENCODER
    return encoder


def check_sense(name: str, robot: RobotInfo) -> None:
    """Raises UserError for a robot without the input of the encoder: images, or a vector.

    A robot without modalities, from an old recording, is accepted.
    """
    vectors = find(name).vectors
    if not robot.modalities or any((sense != CAMERA) == vectors for sense in robot.modalities):
        return
    raise UserError(
        f'encoder {name!r} takes {"a vector observation" if vectors else "images"}',
        expected=f'a robot with {"one" if vectors else "a camera"}',
        found=f'{robot.name!r}, which senses {", ".join(robot.modalities)}',
        do='Choose one of images: leave --encoder out.' if vectors else 'Choose --encoder identity.',
    )


def make(settings: EncoderSettings, *, size: int = 0, modality: str = 'state') -> Encoder:
    """Makes a new encoder.

    Args:
        size: length of the observation, for vector encoders.
        modality: name of that observation.

    Raises:
        UserError: unknown name, weights or device not available.
    """
    return find(settings.name).make(settings, size, modality)


def load(config: dict[str, Any], weights: bytes, *, threads: int = 0, device: str = '') -> Encoder:
    """Returns the encoder that `config()` and `weights()` describe: same id, bit-identical embeddings.

    Args:
        config: as `Encoder.config` gave it.
        weights: safetensors, as `Encoder.weights` gave it.
        threads, device: as in EncoderSettings; properties of the machine, not of the encoder.

    Raises:
        UserError: config or weights are damaged or do not belong together.
    """
    if not isinstance(config, dict) or not isinstance(config.get('name'), str):
        raise UserError('encoder config', expected="an object with 'name'", found=repr(config)[:60])
    return find(config['name']).load(config, weights, threads, device)
