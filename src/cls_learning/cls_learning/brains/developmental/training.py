"""Updates of the model of the brain `developmental`, awake and asleep."""

from collections.abc import Callable

import numpy as np
import torch

from cls_common.transition import CAMERA

from ...brain import State
from ...learners.actions import ActionCode
from ...learners.optimisation import (
    average_into,
    load_optimizer,
    make_adam,
    optimizer_state,
    step_all,
)  # fmt: skip
from ...memory.observation_memory import ObservationMemory
from .inspection.gradients import GradientRecorder
from .model import DevelopmentalModel, Steps, to_pictures
from .settings import DevelopmentalSettings, LossSettings

_MEASURED_EVERY = 100
# The learning rate is divided by this at most: the world may change.
_MOST_SLOWED = 10.0


class Trainer:
    """Trains a model, and keeps its averaged weights.

    Args:
        average: gets the averaged weights. decay: of the average.
        rate_steps: updates n after which the rate is divided by 1 + n / rate_steps, by 10 at most; 0: never.

    Attributes:
        updates: number of updates by network.
    """

    def __init__(
        self, model: DevelopmentalModel, average: DevelopmentalModel, settings: DevelopmentalSettings,
        learning_rate: float, decay: float, rate_steps: int = 0,
    ) -> None:  # fmt: skip
        self._model, self._average, self._settings = model, average, settings
        self._rate, self._rate_steps, self._decay = learning_rate, rate_steps, decay
        self._optimizers = {name: make_adam(part, learning_rate) for name, part in model.parts().items()}
        self.updates = dict.fromkeys(self._optimizers, 0)
        self._recorder = GradientRecorder(model.predictor, _MEASURED_EVERY)

    def update(
        self, steps: Steps, number: int, generator: np.random.Generator, *, predicts: bool, reconstructs: float,
        rollout: int = 1,
    ) -> dict[str, float]:  # fmt: skip
        """Takes one step of the autoencoder and, if it predicts, of the predictor; returns its metrics by name.

        Args:
            number: of the update, by which details are measured now and then, and the average begins.
            reconstructs: weight of the reconstruction, 0: none. rollout: steps that are predicted.
        """
        model, loss, metrics = self._model, torch.zeros(()), {}
        if reconstructs:
            hidden = hidden_share(self._settings.loss, generator) if model.autoencoder.masks else 0.0
            metrics['mask_ratio'] = hidden
            found = model.reconstruction_loss(steps.pictures[:, -1], hidden, generator)
            metrics['autoencoder_training_loss'] = float(found.detach())
            loss = loss + reconstructs * found
        if predicts:
            losses = model.prediction_losses(steps, generator, rollout)
            metrics |= losses.metrics()
            loss = loss + losses.total
        if not loss.requires_grad:
            return metrics
        names = [name for name in self._optimizers if predicts or name == 'autoencoder']

        def around(apply: Callable[[], None]) -> None:
            if predicts:
                metrics.update(self._recorder.update(number, apply))
            else:
                apply()

        for name in names:
            self._optimizers[name].learning_rate = self.learning_rate
        own = self._settings.wake.gradient_norm
        metrics['loss'] = step_all([self._optimizers[name] for name in names], loss, own, around, fills=True)
        for name in names:
            self.updates[name] += 1
        decay = min(self._decay, (number + 1) / (number + 10))
        average_into(list(self._average.parameters()), list(model.parameters()), decay)
        for average, newest in zip(self._average.buffers(), model.buffers(), strict=True):
            average.copy_(newest)
        return metrics

    @property
    def learning_rate(self) -> float:
        """Rate of the next update."""
        done = self.updates['autoencoder'] / self._rate_steps if self._rate_steps else 0.0
        return self._rate / min(1.0 + done, _MOST_SLOWED)

    def state(self) -> State:
        """Returns the states of the optimisers, and the numbers of updates."""
        found: State = {f'updates.{name}': torch.tensor(count) for name, count in self.updates.items()}
        for name, optimizer in self._optimizers.items():
            found |= optimizer_state(f'optimizer.{name}', optimizer)
        return found

    def load(self, state: State) -> None:
        """Restores the states of the optimisers, and the numbers of updates."""
        self.updates = {name: int(state[f'updates.{name}']) for name in self.updates}
        for name, optimizer in self._optimizers.items():
            load_optimizer(f'optimizer.{name}', optimizer, state)


def hidden_share(own: LossSettings, generator: np.random.Generator) -> float:
    """Draws the share of a picture that is hidden in one update; 0 in some."""
    return 0.0 if generator.random() < own.whole else float(generator.uniform(own.hidden_low, own.hidden_high))


def draw_steps(
    memory: ObservationMemory, count: int, steps: int, code: ActionCode, generator: np.random.Generator
) -> Steps:
    """Draws B = count windows of K = steps transitions from a memory, fewer where it has fewer; one at least."""
    drawn = memory.windows(min(count, memory.window_count(steps)), steps, generator)
    return Steps(to_pictures(drawn.observations[CAMERA]), code.to_input(drawn.action_applied).clamp(-1.0, 1.0))
