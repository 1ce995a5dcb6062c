"""What every row does: lives one life with one set of tunable values, and says how it fared."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from cls_common.robot import RobotInfo

from ..judge import Figures, Judge
from ..plan import Plan
from ..world import World

Values = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One life of one row.

    Attributes:
        share: of all transitions, what may be kept.
        seed: of networks and draws.
        values: what was chosen in the tuning world, one of the row's grid.
        report: takes the share done, 0 to 1.
    """

    plan: Plan
    share: float
    seed: int
    world: World
    judge: Judge
    robot: RobotInfo
    values: Values
    report: Callable[[float], None]


class Row(ABC):
    """One line of the table.

    Attributes:
        name: as in the table.
        uses_memory: whether the share of transitions kept plays a part; else the row is lived once for all shares.
        grid: sets of values; with more than one the best is chosen in the tuning world by skill.
        sources: modules and packages whose programs decide the figures, beside the bench's own; settings are not
            among them, since their values are in `depends_on`.
    """

    name: str
    uses_memory: bool = True
    sources: ClassVar[tuple[str, ...]] = ('cls_learning.world_models', 'cls_learning.learners')

    @property
    def grid(self) -> tuple[Values, ...]:
        return ({},)

    def depends_on(self, plan: Plan, share: float) -> Values:
        """Returns what else the figures depend on, as plain values."""
        return {}

    @abstractmethod
    def run(self, task: Task) -> Figures:
        """Lives, and returns figures by name."""


def budget(
    *, steps: int, samples: int, stored: int, fast_steps: int | None = None, fast_samples: int | None = None
) -> Figures:
    """Returns what a life cost: optimiser steps, sample-gradients (a dream of K counts K), transitions kept.

    Args:
        fast_steps, fast_samples: of the network beside the one that is scored, where there is one.
    """
    return {
        'steps': steps, 'sample_gradients': samples, 'stored': stored, 'fast_steps': fast_steps,
        'fast_sample_gradients': fast_samples,
    }  # fmt: skip
