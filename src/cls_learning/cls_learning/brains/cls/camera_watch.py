"""Detects a change of the camera: embeddings of the same scene differ by a common shift.

The mean and spread of embeddings can't distinguish darker images from another room: on the early ResNet18, light x 0.8
moves the mean of 100 embeddings by 0.5 to 1.4 scales, another room by 0.5 to 1.0, other poses of the same room by 0.4
to 0.7. Embeddings are therefore compared with those at about the same pose some hundred steps before, and differences
are split into a common shift and the rest. In units of the spread of two unrelated embeddings, over two environments of
five rooms with random actions (minimum and maximum of 49 to 106 tests; for rooms of the 263 with similar differences):

                     common shift         rest
    nothing          0.01 to 0.08         0.14 to 0.30
    noise x 4        0.05 to 0.11         0.15 to 0.30
    light x 0.9      0.14 to 0.32         0.21 to 0.36
    light x 1.2      0.23 to 0.40         0.29 to 0.42
    light x 0.8      0.29 to 0.70         0.36 to 0.56
    another room     0.36 to 2.41         0.78 to 1.19

It does not detect noise, a change without two views of a pose, or one while the robot is carried to another place, and
does not apply to robots without joint angles.
"""

from collections import deque
from collections.abc import Iterable

import numpy as np

from cls_common.transition import Doubles, Floats

_RECENT, _BETWEEN, _BEFORE, _EVERY = 100, 100, 400, 20
# Steps of the alarm after which the new embeddings become the reference.
_USUAL_AFTER = 500
_NEAR = np.radians(5.0)
_LEAST = 30  # fewest recent embeddings with a pose near enough
_SHARED, _SHARED_AGAIN = 0.15, 0.12
_REST, _REST_AGAIN = 0.67, 0.72
_AGREE, _AGREE_AGAIN = 0.8, 0.7

Sample = tuple[Floats, Doubles]


class CameraWatch:
    """Compares the last 100 embeddings with those from 200 to 600 steps ago, or before the alarm.

    Attributes:
        is_other: the alarm, held until the shift is clearly over, or for 500 steps.
    """

    def __init__(self) -> None:
        self.is_other = False
        self._latest: deque[Sample] = deque()  # recent ones, and before them those of neither side
        self._before: deque[Sample] = deque(maxlen=_BEFORE)
        self._count = self._said = 0

    def observe(self, z: Floats, joints: Doubles) -> None:
        """Adds an embedding, float32 (D,) raw, and the joints at its time, float64 (J,) rad."""
        if not len(joints):
            return
        self._count += 1
        self._latest.append((z, joints))
        if len(self._latest) > _RECENT + _BETWEEN:
            left = self._latest.popleft()
            if not self.is_other:
                self._before.append(left)
        self._said = self._said + 1 if self.is_other else 0
        if self._said > _USUAL_AFTER:
            self.is_other = False
            self._before.clear()
        if self._count % _EVERY == 0 and len(self._before) >= _RECENT:
            self.is_other = self._judge()

    def _judge(self) -> bool:
        z, joints = _stack(list(self._latest)[-_RECENT:])
        z_before, joints_before = _stack(self._before)
        distance = np.linalg.norm(joints[:, None] - joints_before[None], axis=2)  # (recent, before)
        nearest = distance.argmin(axis=1)
        is_near = distance.min(axis=1) < _NEAR
        if is_near.sum() < _LEAST:
            return self.is_other
        z, z_before = z[is_near], z_before[nearest[is_near]]
        unrelated = float(np.sqrt(z.var(axis=0).mean() + z_before.var(axis=0).mean()))
        if unrelated <= 0:
            return self.is_other
        moved = (z - z_before) / unrelated  # (N, D)
        common = moved.mean(axis=0)
        shared, rest = (float(np.sqrt(np.square(part).mean())) for part in (common, moved - common))
        # During a move to another room only some embeddings are from there, and shift the mean alone.
        agree = float(np.mean(moved @ common >= 0.5 * common @ common))
        bounds = (_SHARED_AGAIN, _REST_AGAIN, _AGREE_AGAIN) if self.is_other else (_SHARED, _REST, _AGREE)
        return shared >= bounds[0] and rest <= bounds[1] and agree >= bounds[2]


def _stack(samples: Iterable[Sample]) -> tuple[Floats, Doubles]:
    z, joints = zip(*samples)
    return np.stack(z), np.stack(joints)
