"""A life as rows beside the product live it: step after step, with a capped memory of what came before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_learning.randomness import stream
from cls_sim.worlds.pan_tilt import STEP_LIMIT_DEG

from .world import World

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """All steps of a life in order: z, z_next (N, D) raw, action (N, 2) deg, poses before and after (N, 2, 2) deg.

    Attributes:
        scene: place in life of the scene of each step, int64 (N,): what is scored together.
        episode: of each step, int64 (N,): what a learner may know.
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
        """Returns z, action and z_next of steps from frame to frame; frame 2 i is before step i, 2 i + 1 after it."""
        moves = self.frame_poses()[end] - self.frame_poses()[start]
        return self._frames(start), torch.from_numpy(moves.astype(np.float32)), self._frames(end)

    def frame_poses(self) -> NDArray[np.float64]:
        """Returns the poses of all frames, (2 N, 2) deg."""
        return self.poses.reshape(-1, 2)

    def _frames(self, frames: Indices) -> Tensor:
        step, after = torch.from_numpy(frames // 2), torch.from_numpy(frames % 2 == 1)
        return torch.where(after[:, None], self.z_next[step], self.z[step])


def steps_of_life(world: World) -> Steps:
    """Puts the learning walks of all scenes behind one another."""
    walks = [scene.learning for scene in world.scenes]
    poses = [np.stack([walk.poses.numpy()[:-1], walk.poses.numpy()[1:]], axis=1) for walk in walks]
    scene = np.repeat(np.arange(len(walks)), [len(walk) for walk in walks])
    return Steps(
        z=torch.cat([walk.z[:-1] for walk in walks]), action=torch.cat([walk.action for walk in walks]),
        z_next=torch.cat([walk.z[1:] for walk in walks]), poses=np.concatenate(poses),
        scene=scene, episode=np.zeros_like(scene) if world.is_one_episode else scene,
    )  # fmt: skip


class Kept:
    """The last steps, and from those before them as many of each episode as the capacity allows.

    A step enters the memory when it leaves the window, so none is kept twice. When the memory is full, the episode with
    the most steps loses a random one, as the product's pieces do.
    """

    def __init__(self, window: int, capacity: int, seed: int) -> None:
        self._window, self._capacity, self._seed = window, capacity, seed
        self._recent: list[int] = []
        self._older: dict[int, list[int]] = {}
        self._arrays: tuple[Indices, Indices] | None = None

    def add(self, index: int, steps: Steps) -> int | None:
        """Takes a step of life; returns the one that left the window for the memory, if any."""
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
        """Steps in the window, oldest first."""
        return self._both()[0]

    @property
    def older(self) -> Indices:
        """Steps in the memory."""
        return self._both()[1]

    def everything(self) -> Indices:
        """Returns all steps kept."""
        return np.concatenate(self._both())

    def _both(self) -> tuple[Indices, Indices]:
        if self._arrays is None:
            older = [index for kept in self._older.values() for index in kept]
            self._arrays = np.array(self._recent, np.int64), np.array(older, np.int64)
        return self._arrays


def virtual_pairs(steps: Steps, kept: Indices, count: int, draws: np.random.Generator) -> tuple[Indices, Indices]:
    """Draws pairs of kept frames of one episode that one action could lead from and to.

    True only while the scene stands still. Frames that nothing is near to are left out, so there may be fewer.

    Returns:
        frames before and after, as `Steps.pair` takes them.
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
