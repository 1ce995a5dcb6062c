"""Trains the encoder of a seed on the learning walk of the first scene of its stream."""

from collections.abc import Callable
from itertools import islice
from typing import Final

import numpy as np
import torch

from cls_learning.randomness import derive
from cls_perception import encoders
from cls_perception.objective import ImagePairs
from cls_perception.settings import TrainingSettings
from cls_perception.small_images import shrink
from cls_perception.trained_encoder import TrainedEncoder
from cls_perception.training import train
from cls_sim.worlds.pan_tilt import STEP_LIMIT_DEG

from .environment import order
from .protocol import StreamProtocol
from .scene_data import paths, shots

# Modules that decide the weights of a trained encoder, beside its own file.
SOURCES: Final = (
    'cls_bench.learning.encoder_training',
    'cls_perception.objective',
    'cls_perception.receptive_fields',
    'cls_perception.small_images',
    'cls_perception.trained_encoder',
    'cls_perception.training',
)
# Modules that encoders without training import.
SHARED: Final = {
    'retina': ('cls_perception.receptive_fields', 'cls_perception.small_images'),
    'thumbnail': ('cls_perception.small_images',),
}


def is_trained(name: str) -> bool:
    """Whether an encoder, named without options, is trained."""
    return issubclass(encoders.find(name), TrainedEncoder)


def first_learning_walk(protocol: StreamProtocol, seed: int) -> ImagePairs:
    """Renders the learning walk of the first scene of a seed's stream, without test frames or later scenes.

    Returns:
        uint8 images (steps + 1, 3, S, S) and the applied actions, float32 (steps, 2) in [-1, 1].
    """
    scene = order(protocol, seed)[0]
    found = paths(protocol, seed, scene)
    walk = found['learning']
    small = [
        shrink(torch.from_numpy(np.ascontiguousarray(image))[None])
        for _, image in islice(shots(protocol, found, seed, scene), protocol.steps + 1)
    ]
    steps = torch.arange(protocol.steps)
    return ImagePairs(torch.cat(small), steps, steps + 1, torch.from_numpy(walk.applied / STEP_LIMIT_DEG))


def settings_of(seed: int) -> TrainingSettings:
    """Returns the settings with which the encoder of a seed is trained."""
    return TrainingSettings(seed=derive(seed, 'bench.eyes') % 2**31, threads=1, device='cpu')


def learn(name: str, protocol: StreamProtocol, seed: int, report: Callable[[float], None]) -> TrainedEncoder:
    """Trains the encoder of a seed, on one thread.

    Args:
        report: called with the share done, 0 to 1.
    """
    settings = settings_of(seed)
    return train(name, first_learning_walk(protocol, seed), settings, lambda step, _: report(step / settings.steps))
