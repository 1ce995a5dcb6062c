"""Measures the delay of images in steps, by the correlation of image changes with earlier motions.

An image that is stamped on arrival may have been taken before the action whose outcome it should show. Every action is
then paired with the change of another one, and nothing can be learned.
"""

from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Transition

# Longest delay that is measured, steps.
LONGEST = 3
# Steps in the window, fewest steps for a result, and steps between two measurements.
_STEPS, _LEAST, _EVERY = 200, 100, 10
# Lowest correlation, and its margin over that at the delay in use. Measured over 100 steps in rooms and photographs:
# 0.60 to 0.96 at the true delay (with half of the image sky 0.15 to 0.77), at most 0.32 at any other.
_CLEAR, _MARGIN = 0.5, 0.3


class ImageDelay:
    """Estimates the delay from every transition, for robots whose actions are motions.

    Attributes:
        taken: delay in steps for which the transitions were already corrected.
        steps: total delay in steps, measured every 10 transitions; `taken` where no other is clear.
        correlation: between change and motion at that delay, NaN before 100 steps.
    """

    def __init__(self) -> None:
        self.steps = self.taken = 0
        self.correlation = float('nan')
        self._pairs: deque[tuple[float, float]] = deque(maxlen=_STEPS)
        self._count = 0

    def observe(self, transition: Transition) -> None:
        """Adds one transition; a boundary or another correction restarts the measurement."""
        if transition.boundary or transition.image_delay != self.taken:
            self._pairs.clear()
        if transition.image_delay != self.taken:
            self.steps = self.taken = transition.image_delay
        moved = float(np.linalg.norm(transition.joints_next - transition.joints))
        self._pairs.append((moved, float(np.linalg.norm(transition.z_next.astype(np.float64) - transition.z))))
        self._count += 1
        if len(self._pairs) == _LEAST or self._count % _EVERY == 0:
            self.measure()

    def measure(self) -> int:
        """Measures the delay and returns `steps`."""
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
        """Returns the state as named tensors."""
        return {
            'image_delay.counts': torch.tensor([self.steps, self.taken, self._count]),
            'image_delay.pairs': torch.tensor([*self._pairs], dtype=torch.float64).reshape(-1, 2),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state; empty for a state of an older version."""
        counts = state.get('image_delay.counts', torch.zeros(3, dtype=torch.int64))
        self.steps, self.taken, self._count = (int(count) for count in counts)
        self._pairs.clear()
        self._pairs.extend((float(a), float(b)) for a, b in state.get('image_delay.pairs', torch.zeros(0, 2)))


def _correlation(moved: np.ndarray, changed: np.ndarray, later: int) -> float:
    """Returns Pearson's correlation of motions and changes `later` steps later, float64 (N,); 0 without variance."""
    count = len(moved) - abs(later)
    a, b = (moved[:count], changed[-count:]) if later >= 0 else (moved[-count:], changed[:count])
    if not a.std() > 0 or not b.std() > 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
