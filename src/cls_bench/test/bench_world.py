"""A linear world, where what a model must say is known: z is a matrix times the pose, and every scene is the same."""

from dataclasses import replace

import numpy as np
import torch

from cls_bench.learning.judge import Judge
from cls_bench.learning.plan import LIVES, Plan
from cls_bench.learning.rows.contract import Task, Values
from cls_bench.learning.scenes import Path, paths
from cls_bench.learning.world import robot, scene_of, World, world_of

Z_SIZE = 16
MATRIX = torch.from_numpy(np.random.default_rng(0).normal(0.0, 0.05, (Z_SIZE, 2)).astype(np.float32))
ROBOT = robot()


def plan(scenes: int, steps: int) -> Plan:
    """A short life with one night in each scene."""
    return replace(LIVES['short'], scenes=scenes, steps=steps, nights=1, test_walks=2, test_steps=40, pairs=20)


def world(scenes: int, steps: int, seed: int = 0) -> World:
    """Walks as the bench makes them, seen by eyes that measure the pose."""

    def see(path: Path) -> torch.Tensor:
        return torch.from_numpy(path.poses.astype(np.float32)) @ MATRIX.T

    made = []
    for number in range(scenes):
        found = paths(plan(scenes, steps), seed, number)
        tensors = {f'z.{name}': see(path) for name, path in found.items()}
        for name in ('noise_4', 'noise_8', 'exposure'):
            tensors[f'z.{name}'] = see(found['test_0'])
        for name, path in found.items():
            for part in ('poses', 'commanded', 'applied'):
                tensors[f'{part}.{name}'] = torch.from_numpy(getattr(path, part))
        made.append((scene_of(tensors), str(number)))
    return world_of(seed, made)


def task(values: Values, scenes: int = 2, steps: int = 60) -> Task:
    """A life of two scenes."""
    lived = world(scenes, steps)
    return Task(plan(scenes, steps), 0.5, 0, lived, Judge(lived), ROBOT, values, lambda _: None)
