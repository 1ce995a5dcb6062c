"""A stream as arrays, and the capped memory of the baselines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_learning.randomness import stream
from cls_sim.worlds.pan_tilt import STEP_LIMIT_DEG

from .environment import Environment

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class StreamSteps:
    """All steps of a stream in order: z, z_next float32 (N, D) raw, action float32 (N, 2) deg.

    Attributes:
        poses: before and after each step, float64 (N, 2, 2) deg.
        scene: position in the stream of the scene of each step, int64 (N,), by which metrics are grouped.
        episode: of each step, int64 (N,), known to learners.
    """

    z: Tensor
    action: Tensor
    z_next: Tensor
    poses: NDArray[np.float64]
    scene: Indices
    episode: Indices

    def __len__(self) -> int:
        return len(self.action)

    def pair(self, start: Indices, end: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Returns z (B, D), action (B, 2) and z_next (B, D) of moves between frames, int64 (B,).

        Frame 2 i is before step i, 2 i + 1 after it.
        """
        moves = self.frame_poses()[end] - self.frame_poses()[start]
        return self._frames(start), torch.from_numpy(moves.astype(np.float32)), self._frames(end)

    def frame_poses(self) -> NDArray[np.float64]:
        """Returns the poses of all frames, float64 (2 N, 2) deg."""
        return self.poses.reshape(-1, 2)

    def _frames(self, frames: Indices) -> Tensor:
        step, after = torch.from_numpy(frames // 2), torch.from_numpy(frames % 2 == 1)
        return torch.where(after[:, None], self.z_next[step], self.z[step])


def stream_steps(environment: Environment) -> StreamSteps:
    """Concatenates the learning walks of all scenes."""
    walks = [scene.learning for scene in environment.scenes]
    poses = [np.stack([walk.poses.numpy()[:-1], walk.poses.numpy()[1:]], axis=1) for walk in walks]
    scene = np.repeat(np.arange(len(walks)), [len(walk) for walk in walks])
    return StreamSteps(
        z=torch.cat([walk.z[:-1] for walk in walks]),
        action=torch.cat([walk.action for walk in walks]),
        z_next=torch.cat([walk.z[1:] for walk in walks]),
        poses=np.concatenate(poses),
        scene=scene,
        episode=np.zeros_like(scene) if environment.is_one_episode else scene,
    )


class CappedMemory:
    """Window of the newest steps and a memory of older ones, balanced by episode.

    A step enters the memory when it leaves the window, so none is kept twice. When the memory is full, a random step of
    the largest episode is dropped, as in the learners' own segment buffer.
    """

    def __init__(self, window: int, capacity: int, seed: int) -> None:
        self._window, self._capacity, self._seed = window, capacity, seed
        self._recent: list[int] = []
        self._older: dict[int, list[int]] = {}
        self._arrays: tuple[Indices, Indices] | None = None

    def add(self, index: int, steps: StreamSteps) -> int | None:
        """Adds a step; returns the index of the step that moved from the window to the memory, if any."""
        self._arrays = None
        self._recent.append(index)
        if len(self._recent) <= self._window:
            return None
        left = self._recent.pop(0)
        self._older.setdefault(int(steps.episode[left]), []).append(left)
        if sum(map(len, self._older.values())) > self._capacity:
            fullest = max(self._older.values(), key=len)
            drop = int(stream(self._seed, 'bench.drop', index).integers(len(fullest)))
            fullest[drop] = fullest[-1]
            fullest.pop()
        return left

    @property
    def recent(self) -> Indices:
        """Indices of the steps in the window, int64 (n,), oldest first."""
        return self._both()[0]

    @property
    def older(self) -> Indices:
        """Indices of the steps in the memory, int64 (n,)."""
        return self._both()[1]

    def everything(self) -> Indices:
        """Returns the indices of all steps kept, int64 (n,)."""
        return np.concatenate(self._both())

    def _both(self) -> tuple[Indices, Indices]:
        if self._arrays is None:
            older = [index for kept in self._older.values() for index in kept]
            self._arrays = np.array(self._recent, np.int64), np.array(older, np.int64)
        return self._arrays


def stitched_pairs(
    steps: StreamSteps, kept: Indices, count: int, draws: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draws pairs of kept frames of one episode that are one action apart.

    Valid only in a static scene. Frames without a near neighbour are left out, so there may be fewer than `count`.

    Returns:
        frames before and after, int64 (n,), as `StreamSteps.pair` takes them.
    """
    frames = np.concatenate([2 * kept, 2 * kept + 1])
    poses, episodes = steps.frame_poses()[frames], steps.episode[frames // 2]
    start = draws.integers(len(frames), size=count)
    is_near = np.abs(poses[None] - poses[start][:, None]).max(-1) <= STEP_LIMIT_DEG  # (count, frames)
    is_near &= episodes[None] == episodes[start][:, None]
    is_near[np.arange(count), start] = False
    end = np.where(is_near, draws.random(is_near.shape), -1.0).argmax(1)
    found = is_near.any(1)
    return frames[start[found]], frames[end[found]]
