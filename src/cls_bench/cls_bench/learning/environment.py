"""Encoded data of one seed: scenes in the order of the stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Transition
from cls_learning.randomness import stream
from cls_learning.types import History
from cls_sim.robots import make as make_robot
from cls_sim.settings import SimulatorSettings

from .protocol import StreamProtocol

# Steps of a walk that a model with a state is shown before the one that it predicts.
HISTORY = 8


@dataclass(frozen=True)
class Walk:
    """One walk: z float32 (N + 1, D) raw, poses float64 (N + 1, 2) deg, commanded and action float32 (N, 2) deg."""

    z: Tensor
    poses: Tensor
    commanded: Tensor
    action: Tensor

    def __len__(self) -> int:
        return len(self.action)

    def before(self, starts: Tensor) -> History:
        """Returns the steps before the frames at `starts`, int64 (B,)."""
        at = starts[:, None] + torch.arange(-HISTORY, 0)
        held = at.clamp_min(0)
        return History(self.z[held], self.action[held], at >= 0)


@dataclass(frozen=True)
class Pairs:
    """Single steps: z, z_next float32 (N, D) raw, action float32 (N, 2) deg; the steps before them, where known."""

    z: Tensor
    action: Tensor
    z_next: Tensor
    history: History | None = None


def steps_of(walks: Sequence[Walk]) -> Pairs:
    """Returns the single steps of walks."""
    before = [walk.before(torch.arange(len(walk))) for walk in walks]
    history = History(*(torch.cat([getattr(b, name) for b in before]) for name in ('z', 'action', 'known')))
    return Pairs(
        torch.cat([w.z[:-1] for w in walks]),
        torch.cat([w.action for w in walks]),
        torch.cat([w.z[1:] for w in walks]),
        history,
    )


@dataclass(frozen=True)
class SceneData:
    """One scene: the walk to learn from, walks and pairs to test on, and a test walk under other noise and light."""

    learning: Walk
    tests: tuple[Walk, ...]
    pairs: Pairs
    shifted: dict[str, Walk]

    def test(self) -> Pairs:
        """Returns the steps of all test walks, concatenated."""
        return steps_of(self.tests)

    def transitions(self, begins: bool = True) -> Iterator[Transition]:
        """Yields the learning walk in order; `begins`: its first transition begins an episode."""
        walk = self.learning
        z, commanded, applied = walk.z.numpy(), walk.commanded.numpy(), walk.action.numpy()
        joints: NDArray[np.float64] = np.radians(walk.poses.numpy())
        for i in range(len(walk)):
            yield Transition.of_embeddings(
                z=z[i],
                z_next=z[i + 1],
                action_commanded=commanded[i],
                action_applied=applied[i],
                joints=joints[i],
                joints_next=joints[i + 1],
                boundary=begins and i == 0,
                stamp_z=i,
                stamp_next=i + 1,
            )


@dataclass(frozen=True)
class Environment:
    """All scenes of a seed in the order of the stream.

    Attributes:
        digest: hash of every pixel, pose and action, in that order.
        is_one_episode: whether the scenes are stretches of one walk, without boundaries for the learners.
        acts_late: whether actions show only after later ones, so that single steps and pairs of frames say nothing.
    """

    seed: int
    scenes: tuple[SceneData, ...]
    digest: str
    is_one_episode: bool = False
    acts_late: bool = False

    def transitions(self, place: int) -> Iterator[Transition]:
        """Yields the learning walk of the scene at a position of the stream."""
        return self.scenes[place].transitions(begins=place == 0 or not self.is_one_episode)

    @property
    def z_size(self) -> int:
        """Length of an embedding."""
        return self.scenes[0].learning.z.shape[1]


def order(protocol: StreamProtocol, seed: int) -> list[int]:
    """Returns the numbers of the scenes in the order of a seed's stream."""
    if protocol.environment:
        return [*range(protocol.scenes)]
    return [int(i) for i in stream(seed, 'bench.order', 0).permutation(protocol.scenes)]


def scene_of(tensors: dict[str, Tensor]) -> SceneData:
    """Builds a scene from the tensors of `scene_data.encode`, with their shapes."""

    def walk(path: str, seen: str = '') -> Walk:
        return Walk(tensors[f'z.{seen or path}'], *(tensors[f'{p}.{path}'] for p in ('poses', 'commanded', 'applied')))

    names = [name.removeprefix('z.') for name in tensors if name.startswith('z.')]
    shifted = sorted(n for n in names if n.startswith('noise_')) + ['exposure']
    z = tensors['z.pairs'].reshape(-1, 2, tensors['z.pairs'].shape[1])  # (N, before and after, D)
    return SceneData(
        learning=walk('learning'),
        tests=tuple(walk(name) for name in sorted(n for n in names if n.startswith('test_'))),
        pairs=Pairs(z[:, 0], tensors['applied.pairs'], z[:, 1]),
        shifted={name: walk('test_0', name) for name in shifted},
    )


def environment_of(
    seed: int, scenes: list[tuple[SceneData, str]], is_one_episode: bool = False, acts_late: bool = False
) -> Environment:
    """Builds an environment of scenes, each with its hash, in the order given."""
    digest = hashlib.sha256(''.join(text for _, text in scenes).encode()).hexdigest()
    found = [scene for scene, _ in scenes]
    if is_one_episode:
        # The last image of a stretch is the first of the next.
        for before, after in itertools.pairwise(found):
            after.learning.z[0] = before.learning.z[-1]
    return Environment(seed, tuple(found), digest, is_one_episode, acts_late)


@cache
def robot() -> RobotInfo:
    """Returns the robot of the benchmark: the default pan-tilt."""
    body = make_robot('sim', SimulatorSettings(lock_step=True))
    try:
        return body.info
    finally:
        body.close()
