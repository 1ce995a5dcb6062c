"""Curiosity of the original system: an actor that maximises the prediction error of Fast.

Known to be flawed: it compares the prediction for a new action with the outcome of the old one, and its reward and loss
are unbounded. It is unchanged, as a baseline.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..learners.folding import fold_module, fold_moments
from ..learners.optimisation import (
    load_module,
    load_optimizer,
    make_adam,
    module_state,
    optimizer_state,
    step,
)
from ..memory.ring_reservoir import RingReservoir
from ..randomness import derive
from ..space_change import fold_input, SpaceChange
from ..world_models.mlp import initialise
from .contract import Policy, uniform


class PredictionErrorPolicy(Policy):
    """Actor of three linear layers and tanh over embedding and joint angles, plus Gaussian noise."""

    def __init__(self, settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner, seed: int) -> None:
        own = settings.policy
        self._own = own
        self._robot = robot
        self._fast = fast
        self._gradient_norm = settings.network.gradient_norm
        self._size = len(robot.channels)
        joints = len(robot.joint_names) if own.joint_aware else 0
        self._joint_low = torch.tensor(robot.joint_low[:joints], dtype=torch.float32)
        self._joint_high = torch.tensor(robot.joint_high[:joints], dtype=torch.float32)
        self.actor = nn.Sequential(
            nn.Linear(z_size + joints, own.hidden), nn.ReLU(),
            nn.Linear(own.hidden, own.hidden), nn.ReLU(),
            nn.Linear(own.hidden, self._size), nn.Tanh(),
        )  # fmt: skip
        initialise(self.actor, derive(seed, 'policy'))
        self._optimizer = make_adam(self.actor, own.learning_rate)

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        if step < self._own.warmup:
            return uniform(self._size, generator)
        with torch.no_grad():
            x = self._fast.normalizer.normalize(torch.from_numpy(z))[None]
            unit = self._choose(x, torch.from_numpy(joints).float()[None])[0].nan_to_num(0.0).numpy()
        noisy = unit + generator.normal(0.0, self._own.noise, self._size)
        return np.clip(noisy, -1.0, 1.0).astype(np.float32)

    def reward(self, transition: Transition, error_before: float) -> float:
        return error_before

    def learn(self, memory: RingReservoir, steps: int, generator: np.random.Generator) -> dict[str, float]:
        own = self._own
        if steps < own.warmup or steps % own.interval or len(memory) < own.batch_size:
            return {}
        batch = memory.sample(own.batch_size, generator)
        x, x_next = self._fast.normalizer.normalize(batch.z), self._fast.normalizer.normalize(batch.z_next)
        action = self._fast.code.from_unit(self._choose(x, batch.joints))
        model = self._fast.online
        _, out, _ = model.predict(self._fast.online_state(batch.history, len(x)), x, action)
        surprise = (out - x_next).square().mean()
        distance = (action - self._fast.code.to_input(batch.action)).square().mean()
        loss = step(self._optimizer, own.clip_penalty * distance - surprise, self._gradient_norm)
        # The gradient also reaches Fast, which must not learn from it.
        model.zero_grad(set_to_none=True)
        return {'policy_loss': loss}

    def _choose(self, x: Tensor, joints: Tensor) -> Tensor:
        """Returns actions (B, A) in [-1, 1] from x (B, D) normalised and joints (B, J) rad."""
        if len(self._joint_low):
            width = self._joint_high - self._joint_low
            unit = 2.0 * (joints - self._joint_low) / torch.where(width > 0, width, 1.0) - 1.0
            x = torch.cat([x, torch.where(width > 0, unit, 0.0)], dim=-1)
        out: Tensor = self.actor(x)
        return out

    def fold(self, change: SpaceChange) -> None:
        fold_module(self.actor, _fold_first, change)
        # One part of the loss is in normalised units and one in units of actions, so its scale can't be folded.
        fold_moments(self.actor, self._optimizer, _fold_first, change, is_in_units=False)

    def begin_scene(self) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        return module_state('policy.actor', self.actor) | optimizer_state('policy.optimizer', self._optimizer)

    def load(self, state: Mapping[str, Tensor]) -> None:
        load_module('policy.actor', self.actor, state)
        load_optimizer('policy.optimizer', self._optimizer, state)


def _fold_first(weights: Mapping[str, Tensor], change: SpaceChange) -> dict[str, Tensor]:
    weight, bias = fold_input(weights['0.weight'], weights['0.bias'], change)
    return {**weights, '0.weight': weight, '0.bias': bias}


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> PredictionErrorPolicy:
    """Makes the untrained actor; raises UserError without a learner."""
    return PredictionErrorPolicy(settings, robot, z_size, learner_of(fast, "policy 'prediction_error'"), seed)
