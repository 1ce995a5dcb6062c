"""Which episodes' scenes stand still, as far as was ever seen of them: a memory keeps ever fewer frames of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math

import torch
from torch import Tensor

# Above this share of what unrelated frames differ by, a scene moves. Measured: play of 1.5 degrees in the gears 0.05, a
# turning fan 0.1, another room in the same episode 0.29 and more.
MOVES = 0.2
# Files hold finite numbers only, and no excess is as low as this.
_UNKNOWN = -1e9


@dataclass(frozen=True)
class Motion:
    """How much more the views of an episode change by themselves than by neighbouring moves.

    Attributes:
        excess: mean squared distance of frames that are near in pose but far in time, less that of neighbours in time
            at equal moves, as a share of that of unrelated frames; the upper end of its 95 % interval. About 0 where
            the scene stands still, NaN where there are too few frames to tell.
        frames: the most that were ever looked at.
    """

    excess: float
    frames: int

    def then(self, newer: 'Motion') -> 'Motion':
        """Returns what holds after another look, at some other frames of the same episode.

        A look at less than half of the frames that were once there says less than the look back then.
        """
        frames = max(self.frames, newer.frames)
        if math.isnan(newer.excess) or (2 * newer.frames < frames and not math.isnan(self.excess)):
            return Motion(self.excess, frames)
        return Motion(newer.excess, frames)


@dataclass(frozen=True)
class Stillness:
    """What is known of each episode; a new one for each night, so that one can be taken back."""

    motions: Mapping[int, Motion] = field(default_factory=dict)

    def after(self, seen: Mapping[int, Motion]) -> 'Stillness':
        """Adds a look; episodes of which no frame is left are forgotten."""
        return Stillness({e: self.motions[e].then(m) if e in self.motions else m for e, m in seen.items()})

    @property
    def moving(self) -> set[int]:
        """Returns the episodes whose scene did not stand still, and those too short to tell."""
        return {episode for episode, motion in self.motions.items() if not motion.excess < MOVES}

    def moves(self, episode: int) -> bool:
        """Whether the scene of an episode is known to move."""
        return episode in self.motions and self.motions[episode].excess >= MOVES

    def state(self) -> dict[str, Tensor]:
        """Returns everything by name."""
        rows = [
            [episode, _UNKNOWN if math.isnan(motion.excess) else motion.excess, motion.frames]
            for episode, motion in self.motions.items()
        ]
        return {'stillness.excess': torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)}

    @classmethod
    def load(cls, state: Mapping[str, Tensor]) -> 'Stillness':
        """Takes everything back; nothing known where an older version wrote it, which judged by another measure."""
        rows = state['stillness.excess'].tolist() if 'stillness.excess' in state else []
        return cls({int(e): Motion(math.nan if excess == _UNKNOWN else excess, int(n)) for e, excess, n in rows})
