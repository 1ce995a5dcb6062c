"""A sleep phase: replay with shrink and perturb (after Ash and Adams 2020).

    ./cls train --set 'sleep.phases=shrink_perturb sws rem tether' --set sleep.shrink_perturb.shrink=0.001

A network that was trained for long loses its ability to learn; pulling its weights towards zero and adding a little
noise restores it. Here each optimiser step of Slow on replayed transitions is preceded by a little of both, so that
what is lost is learned again at once.
"""

from dataclasses import dataclass

import numpy as np
import torch

from cls_common.settings import setting, Settings
from cls_learning.config import SleepSettings
from cls_learning.consolidation.contract import SleepContext, StepResult
from cls_learning.learners.learner import squared_error


@dataclass(frozen=True, kw_only=True)
class ShrinkPerturbSettings(Settings):
    steps: int = setting(100, 'Optimiser steps of the phase.', low=1)
    shrink: float = setting(2e-4, 'Share of each weight that each step removes.', low=0.0, high=1.0)
    noise: float = setting(
        1e-4, 'Noise that each step adds, as a share of the deviation of its tensor.', low=0.0, high=1.0
    )


SETTINGS = ShrinkPerturbSettings


class ShrinkPerturb:
    """See `cls_learning.consolidation.contract.Phase`."""

    name = 'shrink_perturb'
    loss_name = 'avg_shrink_perturb_loss'

    def steps(self, settings: SleepSettings) -> int:
        """Returns how many optimiser steps are configured."""
        return settings.plugins.of(ShrinkPerturbSettings).steps

    def skip_reason(self, sleep: SleepContext) -> str:
        """Returns why it can't run now: too few transitions for a batch; empty where it can."""
        need, have = sleep.settings.batch_size, len(sleep.memory)
        return '' if have >= need else f'{have} transitions of {need} needed'

    def step(self, sleep: SleepContext, generator: np.random.Generator) -> StepResult:
        """Shrinks and perturbs Slow, then takes one step on its one-step error."""
        own, slow = sleep.settings.plugins.of(ShrinkPerturbSettings), sleep.slow
        with torch.no_grad():
            for weight in slow.online.parameters():
                noise = torch.from_numpy(generator.standard_normal(tuple(weight.shape), np.float32)).to(weight.device)
                weight.mul_(1.0 - own.shrink).add_(noise * weight.std(correction=0), alpha=own.noise)
        batch = sleep.memory.transitions(sleep.settings.batch_size, generator).to(slow.normalizer.device)
        x, x_next = slow.normalizer.normalize(batch.z), slow.normalizer.normalize(batch.z_next)
        loss = slow.update_asleep(squared_error(slow.forward(x, batch.action), x_next).mean())
        return StepResult(loss)


PHASE = ShrinkPerturb()
