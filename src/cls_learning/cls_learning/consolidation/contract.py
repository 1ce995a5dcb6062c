"""What every sleep phase does: one optimiser step at a time, so that a night can be stopped between any two."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..config import SleepSettings
from ..learners.adam import Adam
from ..learners.fast import FastLearner
from ..learners.slow import SlowLearner
from ..memory.contract import ReplayMemory
from ..memory.virtual_walks import VirtualWalks


@dataclass(frozen=True)
class Sleeper:
    """Everything that a phase may touch.

    Attributes:
        fast: a copy of the waking half's Fast; only Tether trains it.
        slow: trained by SWS and REM, frozen in Tether.
        memory: what is replayed.
        walks: over the same frames, never walked; empty where the scene moves.
        tether_optimizer: Fast's own for Tether (row 000-020).
    """

    fast: FastLearner
    slow: SlowLearner
    memory: ReplayMemory
    walks: VirtualWalks
    tether_optimizer: Adam
    settings: SleepSettings


@dataclass(frozen=True)
class StepResult:
    """One optimiser step: its loss, and further means to report by name."""

    loss: float
    metrics: dict[str, float] = field(default_factory=dict)


class Phase(Protocol):
    """One phase of sleep.

    Attributes:
        name: as in feedback and configuration.
        loss_name: of the loss's mean in the statistics (row 000-050).
    """

    name: str
    loss_name: str

    def steps(self, settings: SleepSettings) -> int:
        """Returns how many optimiser steps are configured."""

    def skip_reason(self, sleeper: Sleeper) -> str:
        """Returns why the phase can't run now, empty where it can (row 000-046)."""

    def step(self, sleeper: Sleeper, generator: np.random.Generator) -> StepResult:
        """Takes one optimiser step."""
