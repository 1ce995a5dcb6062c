"""REM: Slow learns multi-step predictions from rollouts (dreams) that start at remembered embeddings."""

import numpy as np
import torch

from ..config import SleepSettings
from ..learners.learner import squared_error
from ..memory.contract import split
from .contract import SleepContext, StepResult


class Rem:
    """Trains Slow on the error of K-step rollouts and on the one-step error."""

    name = 'rem'
    loss_name = 'avg_l_rem'

    def steps(self, settings: SleepSettings) -> int:
        return settings.rem_steps

    def skip_reason(self, sleep: SleepContext) -> str:
        settings = sleep.settings
        need = max(settings.batch_size, settings.rem_k + 1)
        if len(sleep.memory) < need:
            return f'{len(sleep.memory)} transitions of {need} needed'
        windows = sleep.memory.window_count(sleep.slow.online.context + settings.rem_k)
        if windows < settings.batch_size:
            return f'{windows} unbroken windows of {settings.batch_size} needed'
        return ''

    def step(self, sleep: SleepContext, generator: np.random.Generator) -> StepResult:
        settings, slow = sleep.settings, sleep.slow
        virtual = sleep.stitched.draw(round(settings.virtual_share * settings.batch_size), settings.rem_k, generator)
        count, context = settings.batch_size - len(virtual.z), slow.online.context
        history, real = split(sleep.memory.windows(count, context + settings.rem_k, generator), context)
        z, action = torch.cat([real.z, virtual.z]), torch.cat([real.action, virtual.action])
        true = slow.normalizer.normalize(z.to(slow.normalizer.device))  # (B, K + 1, D)
        actions = slow.code.to_input(action.to(slow.normalizer.device))
        # Stitched trajectories are empty for a model with a state, so that the history is that of the whole batch.
        before = None if history is None else history.to(slow.normalizer.device)
        dream = slow.online.rollout(true[:, 0], actions, slow.online_state(before, len(true)))  # (B, K + 1, D)

        errors = torch.stack([squared_error(dream[:, k], true[:, k]).mean() for k in range(1, true.shape[1])])  # (K,)
        multi_step = errors.mean() if settings.rem_reduction == 'mean' else errors.sum()
        # The first step starts from a remembered embedding: its error is the one-step error.
        loss = slow.update_asleep(settings.rem_gamma * multi_step + settings.rem_anchor * errors[0])
        return StepResult(loss, {'avg_l_ms': float(multi_step.detach())})


PHASE = Rem()
