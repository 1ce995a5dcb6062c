"""Fast, the hippocampus of the theory: learns from every wake step."""

from torch import Tensor

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from .. import world_models
from ..config import LearningSettings
from ..randomness import derive
from ..space_change import SpaceChange
from ..types import Batch
from .actions import ActionCode
from .adam import Adam
from .learner import Learner, squared_error
from .normalizer import Normalizer
from .optimisation import load_optimizer, make_adam, optimizer_state, State


class FastLearner(Learner):
    """Learner with a small network and a high learning rate."""

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, normalizer: Normalizer, seed: int
    ) -> None:
        network = settings.network
        code = ActionCode(robot, network.action_scaling, normalizer.device)
        model = world_models.make(
            network.world_model,
            z_size=z_size,
            action_size=code.size,
            hidden=(network.fast_hidden,),
            residual=network.residual,
            seed=derive(seed, 'fast'),
            plugins=network.plugins,
        )
        super().__init__('fast', model, settings.fast.average, normalizer, code, network.gradient_norm)
        self.robot = robot
        self._optimizer = make_adam(self.online, settings.fast.learning_rate)

    def update(self, batch: Batch) -> dict[str, float]:
        """Takes one optimiser step on mean (F(z, a) - z_next)^2.

        Args:
            batch: z, z_next (B, D) raw, action (B, A) robot units.

        Returns:
            fast_loss, in normalised units; NaN where the step was refused.
        """
        x, x_next = self.normalizer.normalize(batch.z), self.normalizer.normalize(batch.z_next)
        loss = squared_error(self.forward(x, batch.action, batch.history), x_next).mean()
        return {'fast_loss': self.take_step(self._optimizer, loss)}

    def follow(self, target: Tensor, batch: Batch, optimizer: Adam) -> float:
        """Takes one optimiser step of Tether towards the outputs of Slow; returns the loss.

        Args:
            target: (B, D) normalised.
        """
        x = self.normalizer.normalize(batch.z)
        loss = squared_error(self.forward(x, batch.action, batch.history), target).mean()
        return self.take_step(optimizer, loss)

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        self.fold_optimizer(self._optimizer, change)

    def state(self) -> State:
        return super().state() | optimizer_state('fast.optimizer', self._optimizer)

    def load(self, state: State) -> None:
        super().load(state)
        load_optimizer('fast.optimizer', self._optimizer, state)


def learner_of(fast: FastLearner | None, user: str) -> FastLearner:
    """Returns the learner; raises UserError about `user`, which needs predictions, where there is none."""
    if fast is None:
        raise UserError(
            f'{user} without networks',
            expected='a learner whose predictions it uses',
            do='Start it with ./cls up or ./cls train, or choose another policy.',
        )
    return fast
