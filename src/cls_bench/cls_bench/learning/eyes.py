"""Eyes trained on the first scene's learning walk: what this seed's robot sees and does in its first minutes."""

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

from .plan import Plan
from .scenes import paths, shots
from .world import order

# Whatever decides what trained eyes become, beside their own file.
SOURCES: Final = (
    'cls_bench.learning.eyes', 'cls_perception.objective', 'cls_perception.receptive_fields',
    'cls_perception.small_images', 'cls_perception.trained_encoder', 'cls_perception.training',
)  # fmt: skip
# Own modules of encoders without training that share them.
SHARED: Final = {
    'retina': ('cls_perception.receptive_fields', 'cls_perception.small_images'),
    'thumbnail': ('cls_perception.small_images',),
}


def is_trained(name: str) -> bool:
    """Whether an encoder, named without options, learns."""
    return issubclass(encoders.find(name), TrainedEncoder)


def first_minutes(plan: Plan, seed: int) -> ImagePairs:
    """Renders the learning walk of the first scene that this seed lives in; no test frame, no later scene."""
    scene = order(plan, seed)[0]
    found = paths(plan, seed, scene)
    walk = found['learning']
    small = [
        shrink(torch.from_numpy(np.ascontiguousarray(image))[None])
        for _, image in islice(shots(plan, found, seed, scene), plan.steps + 1)
    ]
    steps = torch.arange(plan.steps)
    return ImagePairs(torch.cat(small), steps, steps + 1, torch.from_numpy(walk.applied / STEP_LIMIT_DEG))


def settings_of(seed: int) -> TrainingSettings:
    """Returns how the eyes of a seed are trained."""
    return TrainingSettings(seed=derive(seed, 'bench.eyes') % 2**31, threads=1, device='cpu')


def learn(name: str, plan: Plan, seed: int, report: Callable[[float], None]) -> TrainedEncoder:
    """Trains the eyes of a seed, on one thread."""
    settings = settings_of(seed)
    return train(name, first_minutes(plan, seed), settings, lambda step, _: report(step / settings.steps))
