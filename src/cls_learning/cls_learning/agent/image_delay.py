"""Measures by how many steps images are late: how far views change goes with how far the robot moved some steps ago.

An image that is stamped when it arrives, and not when it was taken, may show what was there before the action whose
outcome it is taken for. Then nothing can be learned, since every action is paired with the change of another one.
"""

from collections import deque

import numpy as np

from ..types import Transition

# Steps looked at, and from which on there is something to say.
_STEPS, _LEAST = 200, 100
# Steps of delay that are told apart.
_LONGEST = 3
# Least correlation, and by how much it must be above that without delay. Measured over 100 steps each in a room and
# in photographs: 0.60 to 0.96 at the true delay (half of it sky: 0.15 to 0.77), at most 0.32 at any other.
_CLEAR, _MARGIN = 0.5, 0.3


class ImageDelay:
    """Feed it every transition; for robots whose actions are moves.

    Attributes:
        steps: by which images are late, 0 where they are not or where it can't be told.
        correlation: between change and move at that delay, NaN before there are 100 steps.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.correlation = float('nan')
        self._pairs: deque[tuple[float, float]] = deque(maxlen=_STEPS)

    def see(self, transition: Transition) -> None:
        """Takes one transition; moves across a boundary are not compared."""
        if transition.boundary:
            self._pairs.clear()
        moved = float(np.linalg.norm(transition.joints_next - transition.joints))
        self._pairs.append((moved, float(np.linalg.norm(transition.z_next.astype(np.float64) - transition.z))))
        if len(self._pairs) >= _LEAST and len(self._pairs) % 10 == 0:
            self._measure()

    def _measure(self) -> None:
        moved, changed = np.array(self._pairs).T
        found = [_correlation(moved[: len(moved) - delay], changed[delay:]) for delay in range(_LONGEST + 1)]
        best = int(np.argmax(found))
        is_late = found[best] >= _CLEAR and found[best] - found[0] >= _MARGIN
        self.steps = best if is_late else 0
        self.correlation = found[self.steps]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Pearson's, 0 where either does not vary."""
    if not a.std() > 0 or not b.std() > 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
