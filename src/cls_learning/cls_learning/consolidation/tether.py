"""Tether: Fast is trained on the outputs of Slow for a few steps; weights are not copied."""

import numpy as np

from ..config import SleepSettings
from .contract import SleepContext, StepResult


class Tether:
    """Trains the copy of Fast on the predictions of Slow."""

    name = 'tether'
    loss_name = 'avg_tether_loss'

    def steps(self, settings: SleepSettings) -> int:
        return settings.tether_steps

    def skip_reason(self, sleep: SleepContext) -> str:
        need = sleep.settings.batch_size
        have = sleep.memory.window_count(sleep.slow.online.context + 1)
        return '' if have >= need else f'{have} transitions of {need} needed'

    def step(self, sleep: SleepContext, generator: np.random.Generator) -> StepResult:
        context = sleep.slow.online.context
        batch = sleep.memory.transitions(sleep.settings.batch_size, generator, context)
        batch = batch.to(sleep.slow.normalizer.device)
        x = sleep.slow.normalizer.normalize(batch.z)
        target = sleep.slow.predict_normalized(x, batch.action, batch.history)
        return StepResult(sleep.fast.follow(target, batch, sleep.tether_optimizer))


PHASE = Tether()
