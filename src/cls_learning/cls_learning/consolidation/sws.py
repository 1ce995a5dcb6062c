"""Slow-wave sleep: Slow learns by distillation from Fast over replayed transitions (Hinton et al. 2015).

Where `own_weight` is above 0, Slow is also held near its own predictions from before the sleep, on each sample by how
much better than copying they are, so that what it never knew is not kept. The teacher is that of learning without
forgetting (Li and Hoiem 2017), on replayed samples. Dark experience replay (Buzzega et al. 2020) differs: it stores
with each sample the output from the time when the sample was new. Here no output is stored and none is older than this
sleep, so what was lost in earlier sleeps is not restored.
"""

import numpy as np
import torch
from torch import Tensor

from ..config import SleepSettings
from ..learners.learner import squared_error
from ..types import History
from .contract import hardest, SleepContext, StepResult


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
        settings, slow = sleep.settings, sleep.slow
        x, action, x_next, history = _draw(sleep, generator)

        fast = sleep.fast.predict_normalized(x, action, history)  # (B, D)
        target = fast
        if settings.sws_target == 'gated':
            gate = _skill(fast, x, x_next)[:, None] * settings.gate_max  # (B, 1)
            target = gate * fast + (1.0 - gate) * x_next

        out = slow.forward(x, action, history)
        dynamics = squared_error(out, target).mean()
        loss, metrics = settings.sws_alpha * dynamics, {'avg_l_dyn': float(dynamics.detach())}
        if sleep.before is not None:
            own = sleep.before.predict_normalized(x, action, history)
            change = (_skill(own, x, x_next) * squared_error(out, own)).mean()
            loss, metrics = loss + settings.own_weight * change, metrics | {'avg_l_own': float(change.detach())}
        return StepResult(slow.update_asleep(loss), metrics)


def _draw(sleep: SleepContext, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, History | None]:
    """Returns one batch: x, action and x_next (B, ...), x normalised, action in robot units; and its history."""
    settings, slow = sleep.settings, sleep.slow
    tried, context = settings.candidates * settings.batch_size, slow.online.context
    virtual = sleep.stitched.draw(round(settings.virtual_share * tried), 1, generator)
    count = min(tried - len(virtual.z), sleep.memory.window_count(context + 1))
    real = sleep.memory.transitions(count, generator, context)
    # Stitched trajectories are empty for a model with a state, so that the history is that of the whole batch.
    history = None if real.history is None else real.history.to(slow.normalizer.device)
    z, action, z_next = (
        torch.cat(parts).to(slow.normalizer.device)
        for parts in (
            (real.z, virtual.z[:, 0]),
            (real.action, virtual.action[:, 0]),
            (real.z_next, virtual.z[:, 1]),
        )
    )
    x, x_next = slow.normalizer.normalize(z), slow.normalizer.normalize(z_next)
    if len(x) > settings.batch_size:
        with torch.no_grad():
            errors = squared_error(slow.forward(x, action, history), x_next)
        kept = hardest(errors, squared_error(x, x_next), settings.batch_size)
        x, action, x_next = x[kept], action[kept], x_next[kept]
        history = None if history is None else history.rows(kept)
    return x, action, x_next, history


def _skill(predicted: Tensor, x: Tensor, x_next: Tensor) -> Tensor:
    """Returns the skill of predictions relative to "no change" on each sample, (B,) in 0 to 1."""
    ratio = squared_error(predicted, x_next) / squared_error(x, x_next).clamp_min(1e-12)
    return (1.0 - ratio).clamp(0.0, 1.0)


PHASE = SlowWaveSleep()
