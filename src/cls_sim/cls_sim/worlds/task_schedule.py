"""When the task of a world changes, and to which one: abruptly, or gradually over a number of actions."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cls_common.errors import UserError
from cls_common.settings import setting, Settings

# Purpose of the schedule's random numbers, so that they are not those of the world with the same seed.
_INTERVALS = 301


@dataclass(frozen=True, kw_only=True)
class TaskScheduleSettings(Settings):
    """Settings of a schedule of tasks."""

    tasks: int = setting(1, 'number of tasks, each once in turn; order replaces it', low=1, high=10_000)
    order: str = setting('', "numbers of the tasks in turn, such as '0 1 2 0' for one that returns; empty: by tasks")
    interval: int = setting(
        0, 'mean number of actions from one switch to the next; 0: the first task stays', low=0, high=10**9
    )
    spread: float = setting(
        0.5, 'largest random deviation of an interval from the mean, as a share of it; 0: all are equal', low=0.0,
        high=0.9,
    )  # fmt: skip
    ramp: int = setting(0, 'actions over which a gradual switch moves the task; 0: all are abrupt', low=0, high=10**9)
    gradual: str = setting('', "numbers of the gradual switches, from 1, such as '2 5'; empty: all, with a ramp")

    def __post_init__(self) -> None:
        super().__post_init__()
        order, gradual = self.task_order(), _numbers('gradual', self.gradual)
        if any(one == next_one for one, next_one in pairwise(order)):
            raise UserError("parameter 'order'", expected='another task at each switch', found=repr(self.order))
        if any(not 0 < number < len(order) for number in gradual):
            found = f'{self.gradual!r} with {len(order) - 1} switches'
            raise UserError("parameter 'gradual'", expected='numbers of switches, from 1', found=found)
        shortest = self.shortest_interval
        if self.interval and self.ramp > shortest:
            expected = f'at most {shortest}, the shortest interval between two switches'
            raise UserError("parameter 'ramp'", expected=expected, found=str(self.ramp))

    def task_order(self) -> tuple[int, ...]:
        """Returns the numbers of the tasks in turn."""
        return _numbers('order', self.order) or tuple(range(self.tasks))

    def is_gradual(self, number: int) -> bool:
        """Whether the switch of a number, from 1, is gradual."""
        chosen = _numbers('gradual', self.gradual)
        return self.ramp > 1 and (not chosen or number in chosen)

    @property
    def shortest_interval(self) -> int:
        """Fewest actions between two switches."""
        return max(1, int(self.interval * (1.0 - self.spread)))


@dataclass(frozen=True)
class Switch:
    """One change of the task.

    Attributes:
        task: number of the new task.
        begin: first action, from 0, that the new task has a part in.
        end: first action under the new task alone; `begin` for an abrupt switch.
    """

    task: int
    begin: int
    end: int

    def share(self, action: int) -> float:
        """Returns the share of the new task at an action from `begin` to `end`, above 0 to 1."""
        return (action - self.begin + 1) / (self.end - self.begin + 1)


class TaskSchedule:
    """All switches of a stream of actions, known in advance; equal seeds give equal schedules.

    Attributes:
        first: number of the first task.
        switches: in order; empty where the task never changes.
    """

    def __init__(self, settings: TaskScheduleSettings, seed: int) -> None:
        self.first, *others = settings.task_order()
        draws = np.random.default_rng([_INTERVALS, seed]).uniform(-1.0, 1.0, len(others))
        intervals = np.maximum(settings.shortest_interval, np.rint(settings.interval * (1.0 + settings.spread * draws)))
        begins = np.cumsum(intervals).astype(int).tolist() if settings.interval else []
        self.switches = tuple(
            Switch(task, begin, begin + (settings.ramp - 1 if settings.is_gradual(number) else 0))
            for number, (task, begin) in enumerate(zip(others, begins), 1)
        )
        self._by_begin = {switch.begin: switch for switch in self.switches}

    def beginning_at(self, action: int) -> Switch | None:
        """Returns the switch that begins at an action, counted from 0 over the whole stream; None without one."""
        return self._by_begin.get(action)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    parts = text.split()
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UserError(f'parameter {name!r}', expected='whole numbers with spaces between', found=repr(text))
    return tuple(map(int, parts))
