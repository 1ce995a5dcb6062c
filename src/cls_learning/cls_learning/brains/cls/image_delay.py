"""Measures by how many steps images are late: how far views change goes with how far the robot moved some steps ago.

An image that is stamped when it arrives, and not when it was taken, may show what was there before the action whose
outcome it is taken for. Then nothing can be learned, since every action is paired with the change of another one.
"""

from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Transition

# Steps of delay that are told apart.
LONGEST = 3
# Steps looked at, from which on there is something to say, and from one look to the next.
_STEPS, _LEAST, _EVERY = 200, 100, 10
# Least correlation, and by how much it must be above that at the delay taken so far. Measured over 100 steps each in a
# room and in photographs: 0.60 to 0.96 at the true delay (half of it sky: 0.15 to 0.77), at most 0.32 at any other.
_CLEAR, _MARGIN = 0.5, 0.3


class ImageDelay:
    """Feed it every transition; for robots whose actions are moves.

    Attributes:
        taken: steps by which transitions were re-paired before they came here.
        steps: by which images are late in all, looked at every 10 transitions; `taken` where nothing else is clear.
        correlation: between change and move at that delay, NaN before there are 100 steps.
    """

    def __init__(self) -> None:
        self.steps = self.taken = 0
        self.correlation = float('nan')
        self._pairs: deque[tuple[float, float]] = deque(maxlen=_STEPS)
        self._seen = 0

    def see(self, transition: Transition) -> None:
        """Takes one transition; moves across a boundary, or under two ways of pairing, are not compared."""
        if transition.boundary or transition.image_delay != self.taken:
            self._pairs.clear()
        if transition.image_delay != self.taken:
            self.steps = self.taken = transition.image_delay
        moved = float(np.linalg.norm(transition.joints_next - transition.joints))
        self._pairs.append((moved, float(np.linalg.norm(transition.z_next.astype(np.float64) - transition.z))))
        self._seen += 1
        if len(self._pairs) == _LEAST or self._seen % _EVERY == 0:
            self.measure()

    def measure(self) -> int:
        """Looks now; returns `steps`."""
        if len(self._pairs) < _LEAST:
            return self.steps
        moved, changed = np.array(self._pairs).T
        found = [_correlation(moved, changed, steps - self.taken) for steps in range(LONGEST + 1)]
        best = int(np.argmax(found))
        is_other = found[best] >= _CLEAR and found[best] - found[self.taken] >= _MARGIN
        self.steps = best if is_other else self.taken
        self.correlation = found[self.steps]
        return self.steps

    def state(self) -> dict[str, Tensor]:
        """Returns what it looks at, by name."""
        return {
            'image_delay.counts': torch.tensor([self.steps, self.taken, self._seen]),
            'image_delay.pairs': torch.tensor([*self._pairs], dtype=torch.float64).reshape(-1, 2),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes it back; nothing where an older version wrote it."""
        counts = state.get('image_delay.counts', torch.zeros(3, dtype=torch.int64))
        self.steps, self.taken, self._seen = (int(count) for count in counts)
        self._pairs.clear()
        self._pairs.extend((float(a), float(b)) for a, b in state.get('image_delay.pairs', torch.zeros(0, 2)))


def _correlation(moved: np.ndarray, changed: np.ndarray, later: int) -> float:
    """Returns Pearson's of moves and of changes so many steps later, 0 where either does not vary."""
    count = len(moved) - abs(later)
    a, b = (moved[:count], changed[-count:]) if later >= 0 else (moved[-count:], changed[:count])
    if not a.std() > 0 or not b.std() > 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
