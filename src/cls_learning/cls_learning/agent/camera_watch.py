"""Notices that the camera changed: what stands before it looks the same, but for one shift of everything.

Means and spreads against the normaliser's can't tell darker pictures from another room: on the early ResNet18, light
x 0.8 moves the mean of 100 embeddings by 0.5 to 1.4 scales, another room by 0.5 to 1.0, other poses of the same room by
0.4 to 0.7. So embeddings are compared with those of the same pose a few minutes before. In units of their spread, over
two worlds of five rooms:

                     shift common to all     left without it
    nothing          0.02 to 0.07            0.19 to 0.30
    noise x 4        0.06 to 0.10            0.21 to 0.30
    light x 0.9      0.18 to 0.45            0.24 to 0.42
    light x 0.8      0.35 to 0.87            0.42 to 0.77
    another room     0.5  to 1.6             0.87 to 1.5

It can't tell what is not seen twice from about the same pose, nor a change while the robot is carried elsewhere, nor
noise, and it says nothing of robots that feel no joints. What is long enough the new state of things is not said any
more.
"""

from collections import deque

import numpy as np

from ..types import Doubles, Floats

_RECENT, _BEFORE, _EVERY = 100, 500, 20
_NEAR = np.radians(5.0)
_LEAST = 30  # of the recent ones with a pose near enough
_SHIFT, _SHIFT_AGAIN = 0.25, 0.2
_REST, _REST_AGAIN = 0.82, 0.87
_AGREE, _AGREE_AGAIN = 0.8, 0.7


class CameraWatch:
    """Compares the last 100 embeddings with the 500 before them.

    Attributes:
        is_other: the alarm, held until it is clearly over.
    """

    def __init__(self) -> None:
        self.is_other = False
        self._seen: deque[tuple[Floats, Doubles]] = deque(maxlen=_RECENT + _BEFORE)
        self._count = 0

    def see(self, z: Floats, joints: Doubles) -> None:
        """Takes an embedding, float32 (D,) raw, and the joints that belong to it, float64 (J,) rad."""
        self._seen.append((z, joints))
        self._count += 1
        if len(joints) and self._count % _EVERY == 0 and len(self._seen) >= 2 * _RECENT:
            self.is_other = self._judge()

    def _judge(self) -> bool:
        z, joints = (np.stack(part) for part in zip(*self._seen))
        distance = np.linalg.norm(joints[-_RECENT:, None] - joints[None, :-_RECENT], axis=2)  # (recent, before)
        nearest = distance.argmin(axis=1)
        is_near = distance.min(axis=1) < _NEAR
        spread = float(np.sqrt(z[:-_RECENT].var(axis=0).mean()))
        if is_near.sum() < _LEAST or spread <= 0:
            return self.is_other
        moved = (z[-_RECENT:] - z[nearest])[is_near] / spread  # (N, D)
        common = moved.mean(axis=0)
        shift, rest = (float(np.sqrt(np.square(part).mean())) for part in (common, moved - common))
        # In the hour of a move only some are from the other room, and move the mean alone.
        agree = float(np.mean(moved @ common >= 0.5 * common @ common))
        bounds = (_SHIFT_AGAIN, _REST_AGAIN, _AGREE_AGAIN) if self.is_other else (_SHIFT, _REST, _AGREE)
        return shift >= bounds[0] and rest <= bounds[1] and agree >= bounds[2]
