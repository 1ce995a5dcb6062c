"""Stitches trajectories from remembered frames; they are valid as long as the scene is static.

Two frames of one episode whose poses are one action apart make a step: its action is the difference of the joints.
Consecutive steps make a trajectory. Among them are reverse replay, short cuts and compositions of what was observed
(compare the virtual trajectories of hippocampal replay, Gupta, van der Meer, Touretzky and Redish 2010).
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
import torch

from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Doubles, Floats

from ..types import Windows
from .contract import Record
from .static_scene import SceneMotion, StaticScenes

Indices = NDArray[np.int64]

# Pairs of frames in one class of moves below which the class is not used.
_ENOUGH = 3
# Classes of moves, by the largest share of a channel's reach.
_CLASSES = np.array([0.25, 0.5, 0.75, 1.0])
# Steps from which on two frames count as far in time, and frames of an episode that are compared with all others.
_FAR, _COMPARED = 20, 256
# Parts of the jackknife interval of an excess, and Student's t for as many.
_PARTS, _T = 10, 2.26
# Candidates for the end of a step; about one in forty lies within reach of a pan-tilt.
_TRIED = 256


@dataclass(frozen=True)
class _Frame:
    """One frame: z float32 (D,), joints float64 (J,) rad, and the motion since, float32 (J,) in units of actions."""

    z: Floats
    joints: Doubles
    moved: Floats
    episode: int
    sequence: int


def _frames(record: Record, next_one: Sequence[Record]) -> list[_Frame]:
    """Returns the frame before a transition, and the one after it unless the next transition begins there."""
    before = _Frame(record.z, record.joints, np.zeros_like(record.action), record.episode, record.sequence)
    if any(other.follows(record) for other in next_one):
        return [before]
    return [before, _Frame(record.z_next, record.joints, record.action, record.episode, record.sequence + 1)]


def can_stitch(robot: RobotInfo) -> bool:
    """Whether a difference of joints is an action of this robot: one relative channel in angles for each joint."""
    return len(robot.channels) == len(robot.joint_names) > 0 and all(
        channel.kind is Kind.RELATIVE and channel.unit in ('deg', 'rad') for channel in robot.channels
    )


class StitchedTrajectories:
    """Samples stitched trajectories over the frames of a set of transitions.

    Args:
        records: transitions of one robot, by rising sequence; frames of different episodes are never combined.
        z_size: length of an embedding, D.
        known: results of the static-scene test of earlier sleeps, when memory held more frames of each episode.

    Attributes:
        static_scenes: results with these transitions; nothing is sampled from episodes that are `moving`.
    """

    def __init__(
        self, records: Sequence[Record], robot: RobotInfo, z_size: int, known: StaticScenes | None = None
    ) -> None:
        chosen = records if can_stitch(robot) else []
        units = np.array([180.0 / np.pi if c.unit == 'deg' else 1.0 for c in robot.channels])
        frames = [frame for at, record in enumerate(chosen) for frame in _frames(record, chosen[at + 1 : at + 2])]
        self._z = torch.from_numpy(np.stack([f.z for f in frames])) if frames else torch.zeros(0, z_size)
        self._poses = np.array([f.joints * units + f.moved for f in frames]).reshape(len(frames), len(units))
        self._episodes = np.array([f.episode for f in frames], np.int64)
        self._low, self._high = robot.low.astype(float), robot.high.astype(float)
        self._sequences = np.array([f.sequence for f in frames], np.int64)
        motions = {int(e): self._motion(np.flatnonzero(self._episodes == e)) for e in np.unique(self._episodes)}
        self.static_scenes = (known or StaticScenes()).updated(motions)
        self._usable = np.flatnonzero(~np.isin(self._episodes, list(self.static_scenes.moving)))
        self._groups = self._episodes[self._usable]  # sorted, since records are
        self._first, self._frames = np.unique(self._groups, return_index=True, return_counts=True)[1:]

    def __len__(self) -> int:
        """Returns the number of frames in use."""
        return len(self._usable)

    def draw(self, count: int, steps: int, generator: np.random.Generator) -> Windows:
        """Samples up to `count` trajectories of `steps` steps; fewer where a frame has no neighbour.

        Returns:
            z float32 (B, steps + 1, D) raw and actions float32 (B, steps, A) in robot units, B <= count.
        """
        if not len(self):
            return Windows(torch.zeros(0, steps + 1, self._z.shape[1]), torch.zeros(0, steps, len(self._low)))
        path = [self._starts(count, generator)]
        for _ in range(steps):
            found, ends = self._neighbours(path[-1], generator)
            path = [*(at[found] for at in path), ends]
        frames = self._usable[np.stack(path, axis=1)]  # (B, steps + 1)
        moves = np.diff(self._poses[frames], axis=1).astype(np.float32)
        return Windows(self._z[torch.from_numpy(frames)], torch.from_numpy(moves))

    def _starts(self, count: int, generator: np.random.Generator) -> Indices:
        """Returns indices into `_usable`, int64 (B,); an episode's weight is the square root of its frames.

        Uniform over frames, most would be of the newest scene, which memory holds whole; uniform over episodes, the
        few frames of old scenes would repeat.
        """
        share = np.sqrt(self._frames)
        chosen = generator.choice(len(share), count, p=share / share.sum())
        starts: Indices = self._first[chosen] + (generator.random(count) * self._frames[chosen]).astype(np.int64)
        return starts

    def _neighbours(self, start: Indices, generator: np.random.Generator) -> tuple[NDArray[np.bool_], Indices]:
        """Returns which starts have a neighbour, bool (B,), and one for each of those; indices into `_usable`.

        Only some frames of each episode are tried: testing all would cost more than learning from them.
        """
        first, behind = (np.searchsorted(self._groups, self._groups[start], side) for side in ('left', 'right'))
        draws = generator.random((len(start), _TRIED))
        tried = first[:, None] + (draws * (behind - first)[:, None]).astype(np.int64)  # (B, T)
        moves = self._poses[self._usable[tried]] - self._poses[self._usable[start]][:, None]  # (B, T, A)
        near = ((moves >= self._low) & (moves <= self._high)).all(-1) & (tried != start[:, None])
        found: NDArray[np.bool_] = near.any(1)
        return found, tried[np.arange(len(start)), near.argmax(1)][found]

    def _motion(self, at: Indices) -> SceneMotion:
        """Returns the result of the static-scene test on the frames of one episode, given by index, int64 (N,)."""
        compared = at[np.linspace(0, len(at) - 1, min(len(at), _COMPARED)).astype(int)]
        moves = self._poses[at][None] - self._poses[compared][:, None]  # (C, N, A)
        reach = np.where(moves < 0, self._low, self._high)
        size = (moves / np.where(reach == 0, np.inf, reach)).max(-1)
        kind = np.where((size > 0) & (size <= 1), np.searchsorted(_CLASSES, size), len(_CLASSES))
        apart = np.abs(self._sequences[at][None] - self._sequences[compared][:, None])
        z = self._z[torch.from_numpy(at)]
        changed = torch.cdist(self._z[torch.from_numpy(compared)], z).square().numpy().astype(np.float64)
        classes = np.arange(len(_CLASSES))[:, None, None]
        sums = []  # adjacent, then far in time: number of pairs and their squared distances, (2, 4, C)
        for chosen in (apart == 1, apart >= _FAR):
            pairs = (kind[None] == classes) & chosen
            sums.append([pairs.sum(-1), np.where(pairs, changed, 0.0).sum(-1)])
        unrelated = changed[apart >= _FAR]
        scale = float(unrelated.mean()) if unrelated.size else 0.0
        return SceneMotion(_upper_excess(np.array(sums), scale), len(at))


def _upper_excess(sums: Doubles, scale: float) -> float:
    """Returns the upper end of the 95 % interval of the excess, by the jackknife over tenths of the frames.

    Args:
        sums: (2, 2, K, C): near or far in time, pairs or squared distances, class of moves, compared frame.
        scale: mean squared distance of unrelated frames.
    """
    whole = _excess(sums.sum(-1), scale)
    parts = np.array_split(np.arange(sums.shape[-1]), _PARTS)
    others = np.array([_excess(np.delete(sums, part, axis=-1).sum(-1), scale) for part in parts])
    spread = math.sqrt((_PARTS - 1) / _PARTS * np.square(others - others.mean()).sum())
    return whole + _T * spread


def _excess(sums: Doubles, scale: float) -> float:
    """Returns the excess over all classes of moves with enough pairs, NaN without any; sums (2, 2, K) as above."""
    counts, distances = sums[:, 0], sums[:, 1]  # (2, K)
    used = (counts >= _ENOUGH).all(0)
    if not used.any() or scale <= 0:
        return math.nan
    near, far = distances[:, used] / counts[:, used]
    return float(np.average(far - near, weights=counts[:, used].min(0))) / scale
