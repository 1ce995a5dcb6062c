"""REM: Slow learns multi-step predictions from rollouts (dreams) that start at remembered embeddings."""

import numpy as np
import torch
from torch import Tensor

from ..config import SleepSettings
from ..learners.learner import squared_error
from ..learners.slow import SlowLearner
from ..memory.contract import split
from ..types import History
from .contract import hardest, SleepContext, StepResult


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
        true, actions, history = _draw(sleep, generator)
        errors = torch.stack([error.mean() for error in _errors(slow, true, actions, history)])  # (K,)
        multi_step = errors.mean() if settings.rem_reduction == 'mean' else errors.sum()
        # The first step starts from a remembered embedding: its error is the one-step error.
        loss = slow.update_asleep(settings.rem_gamma * multi_step + settings.rem_anchor * errors[0])
        return StepResult(loss, {'avg_l_ms': float(multi_step.detach())})


def _draw(sleep: SleepContext, generator: np.random.Generator) -> tuple[Tensor, Tensor, History | None]:
    """Returns one batch of trajectories: normalised (B, K + 1, D), actions as network input (B, K, A); and history."""
    settings, slow, context = sleep.settings, sleep.slow, sleep.slow.online.context
    tried = settings.candidates * settings.batch_size
    virtual = sleep.stitched.draw(round(settings.virtual_share * tried), settings.rem_k, generator)
    count = min(tried - len(virtual.z), sleep.memory.window_count(context + settings.rem_k))
    before, real = split(sleep.memory.windows(count, context + settings.rem_k, generator), context)
    z, action = torch.cat([real.z, virtual.z]), torch.cat([real.action, virtual.action])
    true = slow.normalizer.normalize(z.to(slow.normalizer.device))  # (B, K + 1, D)
    actions = slow.code.to_input(action.to(slow.normalizer.device))
    # Stitched trajectories are empty for a model with a state, so that the history is that of the whole batch.
    history = None if before is None else before.to(slow.normalizer.device)
    if len(true) > settings.batch_size:
        with torch.no_grad():
            errors = torch.stack(_errors(slow, true, actions, history)).mean(dim=0)
        copied = squared_error(true[:, :1], true[:, 1:]).mean(dim=1)
        kept = hardest(errors, copied, settings.batch_size)
        true, actions = true[kept], actions[kept]
        history = None if history is None else history.rows(kept)
    return true, actions, history


def _errors(slow: SlowLearner, true: Tensor, actions: Tensor, history: History | None) -> list[Tensor]:
    """Returns the errors of rollouts after each of K steps, (B,) each, with gradient."""
    dream = slow.online.rollout(true[:, 0], actions, slow.online_state(history, len(true)))  # (B, K + 1, D)
    return [squared_error(dream[:, k], true[:, k]) for k in range(1, true.shape[1])]


PHASE = Rem()
