"""REM: Slow dreams K steps from a true start and learns to land where life did (rows 000-035 to 000-040)."""

import numpy as np
import torch

from ..config import SleepSettings
from ..learners.learner import squared_error
from ..memory.contract import split
from .contract import Sleeper, StepResult


class Rem:
    name = 'rem'
    loss_name = 'avg_l_rem'

    def steps(self, settings: SleepSettings) -> int:
        return settings.rem_steps

    def skip_reason(self, sleeper: Sleeper) -> str:
        settings = sleeper.settings
        need = max(settings.batch_size, settings.rem_k + 1)
        if len(sleeper.memory) < need:
            return f'{len(sleeper.memory)} transitions of {need} needed'
        windows = sleeper.memory.window_count(sleeper.slow.raw.context + settings.rem_k)
        if windows < settings.batch_size:
            return f'{windows} unbroken windows of {settings.batch_size} needed'
        return ''

    def step(self, sleeper: Sleeper, generator: np.random.Generator) -> StepResult:
        settings, slow = sleeper.settings, sleeper.slow
        virtual = sleeper.walks.draw(round(settings.virtual_share * settings.batch_size), settings.rem_k, generator)
        count, context = settings.batch_size - len(virtual.z), slow.raw.context
        history, real = split(sleeper.memory.windows(count, context + settings.rem_k, generator), context)
        z, action = torch.cat([real.z, virtual.z]), torch.cat([real.action, virtual.action])
        true = slow.normalizer.normalize(z.to(slow.normalizer.device))  # (B, K + 1, D)
        actions = slow.code.to_input(action.to(slow.normalizer.device))
        # Virtual walks are empty for a model with a state, so that the history is that of the whole batch.
        before = None if history is None else history.to(slow.normalizer.device)
        dream = slow.raw.rollout(true[:, 0], actions, slow.raw_state(before, len(true)))  # (B, K + 1, D)

        errors = torch.stack([squared_error(dream[:, k], true[:, k]).mean() for k in range(1, true.shape[1])])  # (K,)
        multi_step = errors.mean() if settings.rem_reduction == 'mean' else errors.sum()
        # The first step of a dream starts from the truth: its error is the one-step error.
        loss = slow.update_asleep(settings.rem_gamma * multi_step + settings.rem_anchor * errors[0])
        return StepResult(loss, {'avg_l_ms': float(multi_step.detach())})


PHASE = Rem()
