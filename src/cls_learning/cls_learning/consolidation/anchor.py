"""Anchor: the weights of Slow that memory needs are held near their present values. No PyTorch here.

From then on Slow's losses, awake and asleep, include a penalty on changes of these weights: consolidation of synapses,
beside replay. The phase takes one step, which changes no weight. Where `when` is `change`, it is skipped until a change
of the world is found; placed before the other phases, it then keeps what was learned before the change.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..config import SleepSettings
from ..penalties.settings import AnchorPhaseSettings

if TYPE_CHECKING:  # settings of phases are listed without PyTorch
    from .contract import SleepContext, StepResult

SETTINGS = AnchorPhaseSettings


class Anchor:
    """Measures the importance of Slow's weights on samples of memory, and anchors them."""

    name = 'anchor'
    loss_name = 'anchor_divergence'

    def steps(self, settings: SleepSettings) -> int:
        return 1

    def skip_reason(self, sleep: 'SleepContext') -> str:
        need, have = sleep.settings.batch_size, sleep.memory.window_count(sleep.slow.online.context + 1)
        if have < need:
            return f'{have} transitions of {need} needed'
        assert sleep.slow.penalty is not None
        is_due = sleep.has_changed or not sleep.slow.penalty.anchors
        return '' if is_due else 'no change was found since the last anchor'

    def step(self, sleep: 'SleepContext', generator: np.random.Generator) -> 'StepResult':
        """See Phase; the result is the divergence from the anchor before: weighted by importance, and its L2 norm."""
        from .contract import StepResult

        context = sleep.slow.online.context
        count = min(sleep.settings.plugins.of(AnchorPhaseSettings).samples, sleep.memory.window_count(context + 1))
        batch = sleep.memory.transitions(count, generator, context).to(sleep.slow.normalizer.device)
        moved = sleep.slow.anchor(batch, generator)
        return StepResult(moved.weighted, {'anchor_l2': moved.l2})


PHASE = Anchor()
