"""Slow, the cortex of the theory: learns the same function slowly, and mostly in sleep."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from cls_common.robot import RobotInfo

from .. import penalties, world_models
from ..config import LearningSettings
from ..penalties.contract import Divergence
from ..penalties.samples import Gaussian
from ..randomness import derive
from ..space_change import SpaceChange
from ..types import Batch
from .actions import ActionCode
from .adam import Adam
from .learner import Before, Learner, squared_error
from .normalizer import Normalizer
from .optimisation import load_optimizer, make_adam, optimizer_state, prefixed, select, State


class SlowLearner(Learner):
    """Learner with a large network, a low learning rate awake, and separate optimisers for wake and sleep.

    Attributes:
        penalty: on changes of important weights, added to every loss; None where no sleep phase anchors.
    """

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, normalizer: Normalizer, seed: int
    ) -> None:
        network = settings.network
        code = ActionCode(robot, network.action_scaling, normalizer.device)
        model = world_models.make(
            network.world_model,
            z_size=z_size,
            action_size=code.size,
            hidden=(network.slow_hidden, network.slow_hidden),
            residual=network.residual,
            seed=derive(seed, 'slow'),
            plugins=network.plugins,
        )
        super().__init__('slow', model, settings.slow.average, normalizer, code, network.gradient_norm)
        self._wake = settings.slow
        self._wake_optimizer = make_adam(self.online, settings.slow.wake_learning_rate)
        self._sleep_optimizer = make_adam(self.online, settings.sleep.learning_rate)
        self.penalty = penalties.of_phase(settings.sleep.plugins, dict(self.online.named_parameters()))

    def update_awake(
        self, z: Tensor, action: Tensor, z_next: Tensor, fast_prediction: Tensor, before: Before = None
    ) -> dict[str, float]:
        """Takes one optimiser step on one transition: error against the embedding and distillation from Fast.

        Args:
            z, z_next, fast_prediction: (1, D) raw; fast_prediction is that of Fast after it learned the step.
            action: (1, A) robot units.

        Returns:
            slow_distill and slow_raw, unweighted, in normalised units.
        """
        x = self.normalizer.normalize(z)
        out = self.forward(x, action, before)
        distill = squared_error(out, self.normalizer.normalize(fast_prediction)).mean()
        raw = squared_error(out, self.normalizer.normalize(z_next)).mean()
        loss = self._wake.wake_distill_weight * distill + self._wake.wake_raw_weight * raw
        self.take_step(self._wake_optimizer, loss)
        return {'slow_distill': float(distill.detach()), 'slow_raw': float(raw.detach())}

    def update_asleep(self, loss: Tensor) -> float:
        """Takes one step of the sleep optimiser on a loss (0-d); returns the loss, NaN where it was refused."""
        return self.take_step(self._sleep_optimizer, loss)

    def take_step(self, optimizer: Adam, loss: Tensor) -> float:
        """See Learner; the loss that is optimised and returned includes the penalty."""
        if self.penalty is None:
            return super().take_step(optimizer, loss)
        value = super().take_step(optimizer, loss + self.penalty.loss())
        if value == value:
            self.penalty.after_step(optimizer.clip)
        return value

    def anchor(self, batch: Batch, generator: np.random.Generator) -> Divergence:
        """Anchors the online weights; their importance is measured on transitions, raw and in robot units.

        The state of a recurrent model is that after the history of each transition.
        """
        assert self.penalty is not None, 'the sleep phase `anchor` is not chosen'
        return self.penalty.anchor(self._samples(batch), generator)

    def _samples(self, batch: Batch) -> Iterator[Gaussian]:
        x, x_next = self.normalizer.normalize(batch.z), self.normalizer.normalize(batch.z_next)
        for row in range(len(x)):
            one = slice(row, row + 1)
            before = None if batch.history is None else batch.history.rows(one)
            yield Gaussian(self.forward(x[one], batch.action[one], before)[0], x_next[row])

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        self.fold_optimizer(self._wake_optimizer, change)
        self.fold_optimizer(self._sleep_optimizer, change)
        if self.penalty is not None:
            self.penalty.fold(self.online.fold, change)

    def state(self) -> State:
        return (
            super().state()
            | optimizer_state('slow.wake_optimizer', self._wake_optimizer)
            | optimizer_state('slow.sleep_optimizer', self._sleep_optimizer)
            | ({} if self.penalty is None else prefixed('slow.penalty', self.penalty.state()))
        )

    def load(self, state: State) -> None:
        super().load(state)
        load_optimizer('slow.wake_optimizer', self._wake_optimizer, state)
        load_optimizer('slow.sleep_optimizer', self._sleep_optimizer, state)
        if self.penalty is not None:
            self.penalty.load(select('slow.penalty', state))
