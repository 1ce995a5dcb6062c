"""Test for static scenes, by episode; results are kept, since a full memory holds fewer frames of each episode."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math

import torch
from torch import Tensor

# Excess from which on a scene counts as moving. Measured: gear play of 1.5 degrees 0.05, a turning fan 0.1, another
# room in the same episode 0.29 and more.
MOVES = 0.2
# Files hold finite numbers only, and no excess is as low as this.
_UNKNOWN = -1e9


@dataclass(frozen=True)
class SceneMotion:
    """Change of the frames of one episode that the robot's own motion does not explain.

    Attributes:
        excess: mean squared distance of frames near in pose but far in time, minus that of frames adjacent in time for
            moves of equal size, as a share of the distance of unrelated frames; upper end of its 95 % interval. About
            0 in a static scene, NaN where there are too few frames.
        frames: largest number of frames of the episode that was tested at once.
    """

    excess: float
    frames: int

    def updated(self, newer: 'SceneMotion') -> 'SceneMotion':
        """Returns the result after another test of the same episode.

        A test of less than half of the frames that were once tested does not replace the earlier result.
        """
        frames = max(self.frames, newer.frames)
        if math.isnan(newer.excess) or (2 * newer.frames < frames and not math.isnan(self.excess)):
            return SceneMotion(self.excess, frames)
        return SceneMotion(newer.excess, frames)


@dataclass(frozen=True)
class StaticScenes:
    """Results of all episodes. Immutable: a sleep that is rolled back restores the object from before."""

    motions: Mapping[int, SceneMotion] = field(default_factory=dict)

    def updated(self, found: Mapping[int, SceneMotion]) -> 'StaticScenes':
        """Returns the results after a test of all remembered frames; episodes without a frame are removed."""
        return StaticScenes({e: self.motions[e].updated(m) if e in self.motions else m for e, m in found.items()})

    @property
    def moving(self) -> set[int]:
        """Episodes whose scene is not known to be static: moving ones, and those too short for the test."""
        return {episode for episode, motion in self.motions.items() if not motion.excess < MOVES}

    def is_moving(self, episode: int) -> bool:
        """Whether the scene of an episode is known to move."""
        return episode in self.motions and self.motions[episode].excess >= MOVES

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors."""
        rows = [
            [episode, _UNKNOWN if math.isnan(motion.excess) else motion.excess, motion.frames]
            for episode, motion in self.motions.items()
        ]
        return {'stillness.excess': torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)}

    @classmethod
    def load(cls, state: Mapping[str, Tensor]) -> 'StaticScenes':
        """Restores the state; empty for a state of an older version, which used another measure."""
        rows = state['stillness.excess'].tolist() if 'stillness.excess' in state else []
        return cls({int(e): SceneMotion(math.nan if excess == _UNKNOWN else excess, int(n)) for e, excess, n in rows})
