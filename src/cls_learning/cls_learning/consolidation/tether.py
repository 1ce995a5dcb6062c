"""Tether: Fast follows Slow's outputs for a few steps, never its weights (rows 000-041 to 000-044)."""

import numpy as np

from ..config import SleepSettings
from .contract import Sleeper, StepResult


class Tether:
    name = 'tether'
    loss_name = 'avg_tether_loss'

    def steps(self, settings: SleepSettings) -> int:
        return settings.tether_steps

    def skip_reason(self, sleeper: Sleeper) -> str:
        need = sleeper.settings.batch_size
        have = sleeper.memory.window_count(sleeper.slow.raw.context + 1)
        return '' if have >= need else f'{have} transitions of {need} needed'

    def step(self, sleeper: Sleeper, generator: np.random.Generator) -> StepResult:
        context = sleeper.slow.raw.context
        batch = sleeper.memory.transitions(sleeper.settings.batch_size, generator, context)
        batch = batch.to(sleeper.slow.normalizer.device)
        x = sleeper.slow.normalizer.normalize(batch.z)
        target = sleeper.slow.predict_normalized(x, batch.action, batch.history)
        return StepResult(sleeper.fast.follow(target, batch, sleeper.tether_optimizer))


PHASE = Tether()
