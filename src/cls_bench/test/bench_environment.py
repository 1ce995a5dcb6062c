"""A linear environment with known predictions: z is a matrix times the pose, the same in every scene."""

from dataclasses import replace

import numpy as np
import torch

from cls_bench.learning.baselines.contract import Task, Values
from cls_bench.learning.environment import Environment, environment_of, robot, scene_of
from cls_bench.learning.evaluator import Evaluator
from cls_bench.learning.protocol import StreamProtocol, STREAMS
from cls_bench.learning.scene_data import Path, paths

Z_SIZE = 16
MATRIX = torch.from_numpy(np.random.default_rng(0).normal(0.0, 0.05, (Z_SIZE, 2)).astype(np.float32))
ROBOT = robot()


def protocol(scenes: int, steps: int) -> StreamProtocol:
    """A short stream with one sleep in each scene."""
    return replace(
        STREAMS['short'], scenes=scenes, steps=steps, sleeps_per_scene=1, test_walks=2, test_steps=40, pairs=20
    )


def environment(scenes: int, steps: int, seed: int = 0) -> Environment:
    """Walks as the benchmark makes them, with embeddings that are linear in the pose."""

    def embed(path: Path) -> torch.Tensor:
        return torch.from_numpy(path.poses.astype(np.float32)) @ MATRIX.T

    made = []
    for number in range(scenes):
        found = paths(protocol(scenes, steps), seed, number)
        tensors = {f'z.{name}': embed(path) for name, path in found.items()}
        for name in ('noise_4', 'noise_8', 'exposure'):
            tensors[f'z.{name}'] = embed(found['test_0'])
        for name, path in found.items():
            for part in ('poses', 'commanded', 'applied'):
                tensors[f'{part}.{name}'] = torch.from_numpy(getattr(path, part))
        made.append((scene_of(tensors), str(number)))
    return environment_of(seed, made)


def task(values: Values, scenes: int = 2, steps: int = 60) -> Task:
    """A run on a stream of two scenes."""
    made = environment(scenes, steps)
    return Task(protocol(scenes, steps), 0.5, 0, made, Evaluator(made), ROBOT, values, lambda _: None)
