"""Notices that the robot looks at another scene than before: views of known poses jump.

Each of the latest views is compared with an earlier one of the same episode from about the same pose. Their squared
distance, as a share of that of unrelated views, is low in a scene that stands still and about 1 in another one. It is
high all along where views hardly differ (tiles, bare walls) or light drifts, so not its level counts but that nearly
all of one stretch of steps lies above nearly all of the stretch before it; a noisy screen fills only some views.
Measured in rooms and photographs: at most 0.04 where nothing changes, 0.6 to 1.3 twenty steps after another room.
"""

from collections.abc import Sequence

import numpy as np

from cls_common.transition import Doubles

from .contract import Record

# Steps from one look to the next, views in each stretch, and steps that lie between a view and those it is compared
# with: nearer ones show the same corner whatever the scene does.
EVERY, STRETCH, _APART = 5, 20, 40
_NEAR = np.radians(5.0)
# Of a stretch with a pose near enough, and earlier views to compare with.
_LEAST, _EARLIER = 8, 60


def rise(records: Sequence[Record]) -> float:
    """Returns how far the least quarter of the latest stretch lies above the largest quarter of the one before.

    Args:
        records: of one episode, consecutive and in order.

    Returns:
        a share of the squared distance of unrelated views; NaN where it can't be told.
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
    """Returns a quantile of the squared distances of a stretch from the nearest of the first `end` views, or NaN."""
    apart = np.linalg.norm(joints[stretch, None] - joints[None, :end], axis=2)  # (STRETCH, end)
    near = apart.min(axis=1) < _NEAR
    if near.sum() < _LEAST:
        return float('nan')
    differences = z[stretch][near].astype(np.float64) - z[:end][apart.argmin(axis=1)[near]]
    return float(np.quantile(np.square(differences).sum(axis=1), share))
