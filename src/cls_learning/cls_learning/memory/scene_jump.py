"""Detects a change of scene: embeddings at known poses jump.

Each of the latest embeddings is compared with an earlier one of the same episode at about the same pose. Their squared
distance, as a share of the distance of unrelated embeddings, is low in a static scene and about 1 in another scene. Its
level alone is not a criterion, since it is high where views hardly differ (tiles, bare walls) or light drifts. The test
compares two stretches of steps instead: the lower quartile of the latest against the upper quartile of the one before.
A noisy screen fills only some views and does not trigger it. Measured in rooms and photographs: at most 0.04 without a
change, 0.6 to 1.3 twenty steps after a change of room.
"""

from collections.abc import Sequence

import numpy as np

from cls_common.transition import Doubles

from .contract import Record

# Steps between two tests, embeddings in each stretch, and steps between an embedding and those it is compared with:
# closer in time the robot has hardly moved, and views agree in any scene.
EVERY, STRETCH, _APART = 5, 20, 40
_NEAR = np.radians(5.0)
# Fewest embeddings of a stretch with a pose near enough, and fewest earlier embeddings to compare with.
_LEAST, _EARLIER = 8, 60


def rise(records: Sequence[Record]) -> float:
    """Returns the lower quartile of distances in the latest stretch minus the upper quartile in the one before.

    Args:
        records: of one episode, consecutive and in order.

    Returns:
        a share of the squared distance of unrelated embeddings; NaN where there are too few records.
    """
    if len(records) < _EARLIER + _APART + 2 * STRETCH or not len(records[0].joints):
        return float('nan')
    joints, z = np.stack([r.joints for r in records]), np.stack([r.z for r in records])
    end = len(records) - 2 * STRETCH - _APART
    unrelated = 2.0 * float(z[:end].var(axis=0, dtype=np.float64).sum())
    if unrelated <= 0:
        return float('nan')
    before, last = (
        _quantile(joints, z, slice(len(z) - back, len(z) - back + STRETCH), end, share)
        for back, share in ((2 * STRETCH, 0.75), (STRETCH, 0.25))
    )
    return (last - before) / unrelated


def _quantile(joints: Doubles, z: np.ndarray, stretch: slice, end: int, share: float) -> float:
    """Returns a quantile of squared distances between a stretch and the nearest poses of the first `end` records.

    Args:
        joints: float64 (N, J) rad. z: float32 (N, D). share: of the quantile, 0 to 1.

    Returns:
        NaN where too few poses are near.
    """
    apart = np.linalg.norm(joints[stretch, None] - joints[None, :end], axis=2)  # (STRETCH, end)
    near = apart.min(axis=1) < _NEAR
    if near.sum() < _LEAST:
        return float('nan')
    differences = z[stretch][near].astype(np.float64) - z[:end][apart.argmin(axis=1)[near]]
    return float(np.quantile(np.square(differences).sum(axis=1), share))
