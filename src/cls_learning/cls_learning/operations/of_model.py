"""Operations of a model: its last steps again, and one sleep."""

from collections.abc import Iterable
from dataclasses import dataclass
import math

from cls_common.transition import Experience

from ..brain import Consolidator, Goal, OnlineLearner
from .counter import counting
from .counts import Operations


@dataclass(frozen=True)
class ModelOperations:
    """Operations of a model.

    Attributes:
        acting: of one action. awake: of learning from one step awake. asleep: of one sleep.
        steps: of which the first two are means. wake_steps: from one sleep to the next; 0: sleep only on request.
        sleep: the status of each phase of the sleep, in words.
    """

    acting: Operations
    awake: Operations
    asleep: Operations
    steps: int
    wake_steps: int
    sleep: str

    @property
    def learning(self) -> Operations:
        """Learning from one step, with its share of a sleep."""
        return self.awake + self.asleep / self.wake_steps if self.wake_steps else self.awake

    def to_plain(self) -> dict[str, object]:
        """Returns all numbers by name, for JSON; `ops_act` and `ops_learn` are those of one step in all."""
        parts = {'acting': self.acting, 'awake': self.awake, 'asleep': self.asleep, 'learning': self.learning}
        rate = (self.acting + self.awake).spike_rate
        return {
            'ops_act': self.acting.total, 'ops_learn': self.learning.total,
            'spike_rate': None if math.isnan(rate) else rate, 'steps': self.steps, 'wake_steps': self.wake_steps,
            'sleep': self.sleep, **{name: operations.to_plain() for name, operations in parts.items()},
        }  # fmt: skip


def count_model(
    online: OnlineLearner, consolidator: Consolidator, experiences: Iterable[Experience]
) -> ModelOperations:
    """Counts the operations of acting and learning in steps that were made already, then those of one sleep.

    Both learners learn, so they must be copies. A model younger than its warm-up acts at random: 0.

    Args:
        experiences: at least one, in order.
    """
    acting, awake, steps = Operations(), Operations(), 0
    for experience in experiences:
        transition = experience.transition
        with counting() as acts:
            online.act(transition.before, transition.joints, 'curiosity', online.total_steps)
        with counting() as learns:
            consolidator.learn(online.learn(online.prepare(transition), experience.episode))
        acting, awake, steps = acting + acts.operations, awake + learns.operations, steps + 1
    run = consolidator.begin_sleep(online.state(), Goal())
    with counting() as sleeps:
        for _ in run.run():
            pass
    return ModelOperations(
        acting / steps, awake / steps, sleeps.operations, steps, online.wake_steps_per_cycle, run.statistics.text()
    )
