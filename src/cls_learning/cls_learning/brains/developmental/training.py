"""Updates of the model of the brain `developmental`, awake and asleep."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

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
from .picture_losses import CROSS_ENTROPY
from .settings import DevelopmentalSettings, LossSettings, WakeSettings

_MEASURED_EVERY = 100
# The learning rate awake is divided by this at most: the world may change.
_MOST_SLOWED = 10.0
# From the number of updates done to the learning rate of the next one.
Schedule = Callable[[int], float]


def awake(own: WakeSettings) -> Schedule:
    """Returns a schedule that divides the rate by 1 + n / rate_steps, by 10 at most."""
    return lambda n: own.learning_rate / min(1.0 + (n / own.rate_steps if own.rate_steps else 0.0), _MOST_SLOWED)


def asleep(learning_rate: float, count: int) -> Schedule:
    """Returns a schedule that falls to 0 in so many updates: a sleep ends where it has settled."""
    return lambda n: learning_rate * max(1.0 - n / max(count, 1), 0.0)


class Trainer:
    """Trains a model, and keeps its averaged weights.

    Args:
        average: gets the averaged weights. decay: of the average. schedule: of the learning rate of the predictor.

    Attributes:
        updates: number of updates by network.
    """

    def __init__(
        self, model: DevelopmentalModel, average: DevelopmentalModel, settings: DevelopmentalSettings,
        schedule: Schedule, decay: float,
    ) -> None:  # fmt: skip
        self._model, self._average, self._settings = model, average, settings
        self._schedule, self._decay = schedule, decay
        beta2 = settings.wake.beta2
        self._optimizers = {name: make_adam(part, schedule(0), beta2) for name, part in model.parts().items()}
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
        steps = self._shifted(steps, generator)
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
            times = self._autoencoder_rate if name == 'autoencoder' else 1.0
            self._optimizers[name].learning_rate = times * self.learning_rate
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
        """Rate of the next update of the predictor."""
        return self._schedule(self.updates['autoencoder'])

    @property
    def _autoencoder_rate(self) -> float:
        # Of a picture of two values few pixels teach anything; of others all do, and a higher rate is unstable.
        automatic = 4.0 if self._model.loss == CROSS_ENTROPY else 1.0
        return self._settings.wake.autoencoder_rate or automatic

    def _shifted(self, steps: Steps, generator: np.random.Generator) -> Steps:
        most = round(self._settings.loss.shift * self._settings.network.size)
        if not most:
            return steps
        moves = generator.integers(-most, most + 1, (len(steps.pictures), 2))
        joins = self._settings.network.joins_edges
        shifted = [shift(row, move, joins) for row, move in zip(steps.pictures, moves.tolist())]
        return steps._replace(pictures=torch.stack(shifted))

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


def shift(pictures: Tensor, move: tuple[int, int], joins_edges: bool) -> Tensor:
    """Returns pictures (..., H, W) moved down and to the right by so many pixels, less than a side.

    Args:
        joins_edges: what leaves at an edge enters at the opposite one; else the pixels of the border are repeated.
    """
    if joins_edges:
        return pictures.roll(move, (-2, -1))
    height, width = pictures.shape[-2:]
    rows, columns = ((torch.arange(n) - by).clamp(0, n - 1) for n, by in zip((height, width), move))
    return pictures[..., rows[:, None], columns]


def hidden_share(own: LossSettings, generator: np.random.Generator) -> float:
    """Draws the share of a picture that is hidden in one update; 0 in some."""
    return 0.0 if generator.random() < own.whole else float(generator.uniform(own.hidden_low, own.hidden_high))


def draw_steps(
    memory: ObservationMemory, count: int, steps: int, code: ActionCode, generator: np.random.Generator
) -> Steps:
    """Draws B = count windows of K = steps transitions from a memory, fewer where it has fewer; one at least."""
    drawn = memory.windows(min(count, memory.window_count(steps)), steps, generator)
    return Steps(to_pictures(drawn.observations[CAMERA]), code.to_input(drawn.action_applied).clamp(-1.0, 1.0))
