"""Pose: what a prediction tells about where the camera looks, in degrees: the unit that all encoders share."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..predictor import Predictor
from ..world import Scene
from .skill import dreams

NEIGHBOURS = 5
VISITED_DEG = 10.0
POSE_HORIZONS = (1, 5)
# Of the error of a copied embedding: where that of the true one is no smaller, embeddings don't tell the pose (walls
# without texture, equal tiles, light that changes), and a gain would be a ratio of chances.
_READABLE = 0.75


@dataclass(frozen=True)
class PoseErrors:
    """Mean distance in degrees of the pose read out, `k` steps after the start: true, predicted, copied embedding."""

    true: float
    predicted: float
    copied: float


def read_out(z: Tensor, library: Tensor, poses: Tensor) -> Tensor:
    """Returns the mean pose of the 5 nearest embeddings of the library, (B, 2) degrees."""
    nearest = torch.cdist(z, library).topk(min(NEIGHBOURS, len(library)), largest=False).indices
    return poses[nearest].mean(1)


def is_visited(poses: Tensor, visited: Tensor) -> Tensor:
    """Whether each pose lies within 10 degrees of one on the learning walk, bool (B,)."""
    return torch.cdist(poses.double(), visited.double()).amin(1) <= VISITED_DEG


def overlap(scene: Scene) -> float:
    """Share of the test frames that lie on visited ground."""
    poses = torch.cat([walk.poses for walk in scene.tests])
    return float(is_visited(poses, scene.learning.poses).double().mean())


def pose_errors(model: Predictor, scene: Scene, horizon: int) -> PoseErrors | None:
    """Reads poses out on visited ground; None where no test frame lies there or the walks are too short."""
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
    """(copied - predicted) / (copied - true): the share taken of what can be taken; None where poses can't be read."""
    return (of.copied - of.predicted) / (of.copied - of.true) if of.true < _READABLE * of.copied else None
