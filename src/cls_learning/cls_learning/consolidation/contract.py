"""The contract of sleep phases: one optimiser step at a time, so that a sleep can be cancelled between any two."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..config import SleepSettings
from ..learners.adam import Adam
from ..learners.fast import FastLearner
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
    """

    fast: FastLearner
    slow: SlowLearner
    memory: ReplayMemory
    stitched: StitchedTrajectories
    tether_optimizer: Adam
    settings: SleepSettings


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
