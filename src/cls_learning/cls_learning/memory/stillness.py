"""Which episodes' scenes stand still, as far as was ever seen of them: a memory keeps ever fewer frames of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math

import torch
from torch import Tensor

# Squared distance of frames that are near in pose but far in time, over that of neighbours in time, at equal moves.
STILL_RATIO = 1.5


@dataclass(frozen=True)
class Motion:
    """How much more the views of an episode change by themselves than by neighbouring moves.

    Attributes:
        ratio: about 1 where the scene stands still, NaN where there are too few frames to tell.
        frames: the most that were ever looked at.
    """

    ratio: float
    frames: int

    def then(self, newer: 'Motion') -> 'Motion':
        """Returns what holds after another look, at some other frames of the same episode.

        A look at less than half of the frames that were once there says less than the look back then.
        """
        frames = max(self.frames, newer.frames)
        if math.isnan(newer.ratio) or (2 * newer.frames < frames and not math.isnan(self.ratio)):
            return Motion(self.ratio, frames)
        return Motion(newer.ratio, frames)


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
        return {episode for episode, motion in self.motions.items() if not motion.ratio < STILL_RATIO}

    def state(self) -> dict[str, Tensor]:
        """Returns everything by name; an unknown ratio as -1."""
        rows = [
            [episode, -1.0 if math.isnan(motion.ratio) else motion.ratio, motion.frames]
            for episode, motion in self.motions.items()
        ]
        return {'stillness.motions': torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)}

    @classmethod
    def load(cls, state: Mapping[str, Tensor]) -> 'Stillness':
        """Takes everything back; nothing known where it was written before this was kept."""
        rows = state['stillness.motions'].tolist() if 'stillness.motions' in state else []
        return cls({int(e): Motion(math.nan if ratio < 0 else ratio, int(frames)) for e, ratio, frames in rows})
