"""The data of one scene: walks through it, what the camera sees on them, and what an encoder makes of that."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import hashlib
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_learning.randomness import stream
from cls_perception.encoder import Encoder
from cls_sim.worlds.pan_tilt import LIMITS_DEG, STEP_LIMIT_DEG
from cls_sim.worlds.room import RoomEnv

from .plan import Plan

NOISE: Final = 2.0  # grey levels, in which everything is learned
SHIFTED_NOISE: Final = (4.0, 8.0)  # only tested
EXPOSURE: Final = 0.8  # of the light, only tested
_BATCH: Final = 16

Poses = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Path:
    """Where the camera looks: poses float64 (N + 1, 2), actions as asked and applied float32 (N, 2), all in degrees."""

    poses: Poses
    commanded: NDArray[np.float32]
    applied: NDArray[np.float32]


def walk(start: Poses, steps: int, generator: np.random.Generator) -> Path:
    """Walks at random: each action uniform in +-10 degrees, clipped by the joints' limits."""
    commanded = generator.uniform(-STEP_LIMIT_DEG, STEP_LIMIT_DEG, (steps, 2)).astype(np.float32)
    poses = [start]
    for action in commanded.astype(np.float64):
        poses.append(np.clip(poses[-1] + action, -LIMITS_DEG, LIMITS_DEG))
    track = np.stack(poses)
    return Path(track, commanded, np.diff(track, axis=0).astype(np.float32))


def paths(plan: Plan, seed: int, scene: int) -> dict[str, Path]:
    """Returns the walks of a scene: `learning`, `test_0` and on, and `pairs`, single steps from uniform poses.

    The learning walk starts where the robot wakes, in the middle; the others at uniform poses.
    """

    def draws(purpose: str) -> np.random.Generator:
        return stream(seed, f'bench.{purpose}', scene)

    found = {'learning': walk(np.zeros(2), plan.steps, draws('learning'))}
    for number in range(plan.test_walks):
        generator = draws(f'test.{number}')
        found[f'test_{number}'] = walk(generator.uniform(-LIMITS_DEG, LIMITS_DEG), plan.test_steps, generator)
    generator = draws('pairs')
    starts = generator.uniform(-LIMITS_DEG, LIMITS_DEG, (plan.pairs, 2))
    steps = [walk(start, 1, generator) for start in starts]
    found['pairs'] = Path(
        np.concatenate([step.poses for step in steps]),
        np.concatenate([step.commanded for step in steps]),
        np.concatenate([step.applied for step in steps]),
    )
    return found


def shots(found: dict[str, Path], seed: int, scene: int) -> Iterator[tuple[str, Image]]:
    """Renders every path, and the first test walk again under noise and light that nobody learned from.

    Yields:
        name of the path, image; no two images of a scene share their noise.
    """
    frame = 0

    def look(env: RoomEnv, poses: Poses) -> Iterator[Image]:
        nonlocal frame
        for pose in poses:
            yield env.view(pose, 0.0, frame)
            frame += 1

    env = RoomEnv(scene=scene, seed=seed, noise_sigma=NOISE)
    for name, path in found.items():
        yield from ((name, image) for image in look(env, path.poses))
    for sigma in SHIFTED_NOISE:
        noisy = RoomEnv(scene=scene, seed=seed, noise_sigma=sigma)
        yield from ((f'noise_{sigma:.0f}', image) for image in look(noisy, found['test_0'].poses))
    env.panorama = np.rint(env.panorama * EXPOSURE).astype(np.uint8)
    yield from (('exposure', image) for image in look(env, found['test_0'].poses))


def encode(
    plan: Plan, seed: int, scene: int, encoder: Encoder, report: Callable[[float], None]
) -> tuple[dict[str, Tensor], str]:
    """Renders and encodes one scene.

    Returns:
        tensors by name: `z.<path>` float32 (N + 1, D), `poses.<path>` float64 degrees, `commanded.<path>` and
        `applied.<path>` float32 degrees; and the hash of all its pixels, poses and actions.
    """
    found = paths(plan, seed, scene)
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    for name, path in found.items():
        for part in ('poses', 'commanded', 'applied'):
            array = getattr(path, part)
            digest.update(array.tobytes())
            tensors[f'{part}.{name}'] = torch.from_numpy(array)
    embeddings: dict[str, list[NDArray[np.float32]]] = {}
    total = sum(len(p.poses) for p in found.values()) + (len(SHIFTED_NOISE) + 1) * len(found['test_0'].poses)
    views, done = shots(found, seed, scene), 0
    while batch := list(islice(views, _BATCH)):
        images = np.stack([image for _, image in batch])
        digest.update(images.tobytes())
        for (name, _), z in zip(batch, encoder.encode(images)):
            embeddings.setdefault(name, []).append(z)
        done += len(batch)
        report(done / total)
    for name, stack in embeddings.items():
        tensors[f'z.{name}'] = torch.from_numpy(np.stack(stack))
    return tensors, digest.hexdigest()
