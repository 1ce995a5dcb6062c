"""Slow-wave sleep: Slow learns by distillation from Fast over replayed transitions (Hinton et al. 2015)."""

import numpy as np
import torch

from ..config import SleepSettings
from ..learners.learner import squared_error
from .contract import SleepContext, StepResult


class SlowWaveSleep:
    """Trains Slow on the predictions of Fast, mixed with the real embedding where `sws_target` is gated."""

    name = 'sws'
    loss_name = 'avg_l_sws'

    def steps(self, settings: SleepSettings) -> int:
        return settings.sws_steps

    def skip_reason(self, sleep: SleepContext) -> str:
        need = sleep.settings.batch_size
        have = sleep.memory.window_count(sleep.slow.online.context + 1)
        return '' if have >= need else f'{have} transitions of {need} needed'

    def step(self, sleep: SleepContext, generator: np.random.Generator) -> StepResult:
        settings = sleep.settings
        virtual = sleep.stitched.draw(round(settings.virtual_share * settings.batch_size), 1, generator)
        context = sleep.slow.online.context
        real = sleep.memory.transitions(settings.batch_size - len(virtual.z), generator, context)
        # Stitched trajectories are empty for a model with a state, so that the history is that of the whole batch.
        history = None if real.history is None else real.history.to(sleep.slow.normalizer.device)
        z, action, z_next = (
            torch.cat(parts).to(sleep.slow.normalizer.device)
            for parts in (
                (real.z, virtual.z[:, 0]),
                (real.action, virtual.action[:, 0]),
                (real.z_next, virtual.z[:, 1]),
            )
        )
        normalizer = sleep.slow.normalizer
        x, x_next = normalizer.normalize(z), normalizer.normalize(z_next)

        fast = sleep.fast.predict_normalized(x, action, history)  # (B, D)
        target = fast
        if settings.sws_target == 'gated':
            # The share of Fast in the target is its skill relative to "no change" on the same sample.
            ratio = squared_error(fast, x_next) / squared_error(x, x_next).clamp_min(1e-12)
            gate = (1.0 - ratio).clamp(0.0, 1.0)[:, None] * settings.gate_max  # (B, 1)
            target = gate * fast + (1.0 - gate) * x_next

        dynamics = squared_error(sleep.slow.forward(x, action, history), target).mean()
        loss = sleep.slow.update_asleep(settings.sws_alpha * dynamics)
        return StepResult(loss, {'avg_l_dyn': float(dynamics.detach())})


PHASE = SlowWaveSleep()
