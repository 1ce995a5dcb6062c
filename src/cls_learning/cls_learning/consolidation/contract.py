"""The contract of sleep phases: one optimiser step at a time, so that a sleep can be cancelled between any two."""

import copy
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

from ..config import SleepSettings
from ..learners.adam import Adam
from ..learners.fast import FastLearner
from ..learners.learner import Learner
from ..learners.slow import SlowLearner
from ..memory.contract import ReplayMemory
from ..memory.trajectory_stitching import StitchedTrajectories


@dataclass(frozen=True)
class SleepContext:
    """Everything that a phase reads and trains.

    Attributes:
        fast: a copy of the online learner's Fast; only Tether trains it.
        slow: trained by SWS and REM, frozen in Tether.
        memory: replay memory.
        stitched: trajectories over the same frames; empty where the scene moves.
        tether_optimizer: optimiser of Fast in Tether.
        before: Slow as it was before the sleep, frozen, where `own_weight` is above 0; it predicts only.
        has_changed: whether a change of the world was found since the last anchor; always True where anchors do not
            wait for one.
    """

    fast: FastLearner
    slow: SlowLearner
    memory: ReplayMemory
    stitched: StitchedTrajectories
    tether_optimizer: Adam
    settings: SleepSettings
    before: Learner | None = None
    has_changed: bool = True


def frozen(learner: Learner) -> Learner:
    """Returns a copy of the averaged weights that only predicts; the normaliser is shared, constant in a sleep."""
    weights = copy.deepcopy(learner.ema).requires_grad_(False)
    return Learner(f'{learner.name}.before', weights, 0.0, learner.normalizer, learner.code, 0.0)


def hardest(errors: Tensor, copied: Tensor, count: int) -> Tensor:
    """Returns the indices, int64 (B,), of the B = `count` samples with the largest error relative to copying.

    Samples of large error change the model most (compare Schaul et al. 2016; Aljundi et al. 2019). The mean of `copied`
    is added to the divisor, so that samples that hardly change, whose error is noise, are not preferred.

    Args:
        errors, copied: of the model and of the copied embedding, (N,), N >= B.
    """
    return (errors / (copied + copied.mean()).clamp_min(1e-12)).topk(count).indices


@dataclass(frozen=True)
class StepResult:
    """Result of one optimiser step: its loss (NaN where refused) and further metrics by name."""

    loss: float
    metrics: dict[str, float] = field(default_factory=dict)


class Phase(Protocol):
    """One phase of sleep.

    Attributes:
        name: as in feedback and configuration.
        loss_name: of the mean loss in the statistics.
    """

    name: str
    loss_name: str

    def steps(self, settings: SleepSettings) -> int:
        """Returns the configured number of optimiser steps."""

    def skip_reason(self, sleep: SleepContext) -> str:
        """Returns why the phase can't run now; empty where it can."""

    def step(self, sleep: SleepContext, generator: np.random.Generator) -> StepResult:
        """Takes one optimiser step."""
