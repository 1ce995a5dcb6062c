"""Contract of a baseline: runs on one stream with one set of tuned values and returns metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from cls_common.robot import RobotInfo

from ..environment import Environment
from ..evaluator import Evaluator, Metrics
from ..protocol import StreamProtocol

Values = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One run of one baseline.

    Attributes:
        share: of all transitions that may be kept.
        seed: of networks and random draws.
        values: chosen in the tuning environment from the baseline's grid.
        report: called with the share done, 0 to 1.
    """

    protocol: StreamProtocol
    share: float
    seed: int
    environment: Environment
    evaluator: Evaluator
    robot: RobotInfo
    values: Values
    report: Callable[[float], None]


class Baseline(ABC):
    """One row of the table.

    Attributes:
        name: in table and options.
        uses_memory: whether it depends on the share of transitions kept; else it runs once for all shares.
        grid: sets of values to tune; the best by skill is chosen in the tuning environment.
        sources: modules and packages whose source code decides the metrics, beside the benchmark's own; settings are
            not among them, since their values are in `depends_on`.
    """

    name: str
    uses_memory: bool = True
    sources: ClassVar[tuple[str, ...]] = ('cls_learning.world_models', 'cls_learning.learners')

    @property
    def grid(self) -> tuple[Values, ...]:
        return ({},)

    def depends_on(self, protocol: StreamProtocol, share: float) -> Values:
        """Returns plain values, beside protocol, seed and sources, that the metrics depend on."""
        return {}

    @abstractmethod
    def run(self, task: Task) -> Metrics:
        """Runs the baseline on one stream and returns its metrics by name."""


def budget(
    *, steps: int, samples: int, stored: int, fast_steps: int | None = None, fast_samples: int | None = None
) -> Metrics:
    """Returns the cost of a run: optimiser steps, sample-gradients (K for K predicted steps), transitions kept.

    Args:
        fast_steps, fast_samples: of Fast, where Slow is scored.
    """
    return {
        'steps': steps,
        'sample_gradients': samples,
        'stored': stored,
        'fast_steps': fast_steps,
        'fast_sample_gradients': fast_samples,
    }
