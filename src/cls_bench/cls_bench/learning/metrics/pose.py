"""Pose error of predicted embeddings in degrees, a unit that does not depend on the encoder."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..environment import SceneData
from ..predictor import Predictor
from .skill import dreams

NEIGHBOURS = 5
VISITED_DEG = 10.0
POSE_HORIZONS = (1, 5)
# Largest error of the true embedding, as a share of the copied one's. Above it embeddings do not identify the pose
# (walls without texture, repeated tiles, changing light) and a gain would be noise.
_READABLE = 0.75


@dataclass(frozen=True)
class PoseErrors:
    """Mean pose error in degrees some steps after the start, of the true, the predicted and the copied embedding."""

    true: float
    predicted: float
    copied: float


def read_out(z: Tensor, library: Tensor, poses: Tensor) -> Tensor:
    """Returns the mean pose (B, 2) deg of the 5 nearest of `library` (N, D) to each z (B, D); poses (N, 2) deg."""
    nearest = torch.cdist(z, library).topk(min(NEIGHBOURS, len(library)), largest=False).indices
    return poses[nearest].mean(1)


def is_visited(poses: Tensor, visited: Tensor) -> Tensor:
    """Whether each of poses (B, 2) lies within 10 degrees of one of `visited` (N, 2), bool (B,)."""
    return torch.cdist(poses.double(), visited.double()).amin(1) <= VISITED_DEG


def overlap(scene: SceneData) -> float:
    """Share of the test frames near poses of the learning walk."""
    poses = torch.cat([walk.poses for walk in scene.tests])
    return float(is_visited(poses, scene.learning.poses).double().mean())


def pose_errors(model: Predictor, scene: SceneData, horizon: int) -> PoseErrors | None:
    """Returns pose errors near visited poses; None without such a test frame or where the walks are too short."""
    library, visited = scene.learning.z, scene.learning.poses
    sums, count = torch.zeros(3, dtype=torch.float64), 0
    for walk in (w for w in scene.tests if len(w) >= horizon):
        starts, path, copied = dreams(model, walk, horizon)
        target = walk.poses[starts + horizon]
        chosen = is_visited(target, visited)
        if not chosen.any():
            continue
        seen = (walk.z[starts + horizon], path[:, -1], copied)
        distances = [(read_out(z[chosen], library, visited) - target[chosen]).norm(dim=1).sum() for z in seen]
        sums += torch.stack(distances)
        count += int(chosen.sum())
    if not count:
        return None
    true, predicted, copy = (float(value) for value in sums / count)
    return PoseErrors(true, predicted, copy)


def gain(of: PoseErrors) -> float | None:
    """(copied - predicted) / (copied - true): share of the removable error; None where poses can't be read."""
    return (of.copied - of.predicted) / (of.copied - of.true) if of.true < _READABLE * of.copied else None
