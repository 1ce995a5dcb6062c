"""Slow-wave sleep: Slow learns by distillation from Fast over replayed transitions (rows 000-031 to 000-034)."""

import numpy as np
import torch

from ..config import SleepSettings
from ..learners.learner import squared_error
from .contract import Sleeper, StepResult


class SlowWaveSleep:
    name = 'sws'
    loss_name = 'avg_l_sws'

    def steps(self, settings: SleepSettings) -> int:
        return settings.sws_steps

    def skip_reason(self, sleeper: Sleeper) -> str:
        need = sleeper.settings.batch_size
        have = sleeper.memory.window_count(sleeper.slow.raw.context + 1)
        return '' if have >= need else f'{have} transitions of {need} needed'

    def step(self, sleeper: Sleeper, generator: np.random.Generator) -> StepResult:
        settings = sleeper.settings
        virtual = sleeper.walks.draw(round(settings.virtual_share * settings.batch_size), 1, generator)
        context = sleeper.slow.raw.context
        real = sleeper.memory.transitions(settings.batch_size - len(virtual.z), generator, context)
        # Virtual walks are empty for a model with a state, so that the history is that of the whole batch.
        history = None if real.history is None else real.history.to(sleeper.slow.normalizer.device)
        z, action, z_next = (
            torch.cat(parts).to(sleeper.slow.normalizer.device)
            for parts in (
                (real.z, virtual.z[:, 0]), (real.action, virtual.action[:, 0]), (real.z_next, virtual.z[:, 1])
            )
        )  # fmt: skip
        normalizer = sleeper.slow.normalizer
        x, x_next = normalizer.normalize(z), normalizer.normalize(z_next)

        fast = sleeper.fast.predict_normalized(x, action, history)  # (B, D)
        target = fast
        if settings.sws_target == 'gated':
            # Fast counts as far as it beats "no change" on this very sample.
            ratio = squared_error(fast, x_next) / squared_error(x, x_next).clamp_min(1e-12)
            gate = (1.0 - ratio).clamp(0.0, 1.0)[:, None] * settings.gate_max  # (B, 1)
            target = gate * fast + (1.0 - gate) * x_next

        dynamics = squared_error(sleeper.slow.forward(x, action, history), target).mean()
        loss = sleeper.slow.update_asleep(settings.sws_alpha * dynamics)
        return StepResult(loss, {'avg_l_dyn': float(dynamics.detach())})


PHASE = SlowWaveSleep()
