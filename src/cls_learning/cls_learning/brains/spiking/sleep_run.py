"""One sleep of the brain `spiking`: the world model on replay (`sws`), then actor and critic in imagination (`rem`).

A nap (`hand_over`) trains nothing: the online learner receives what was learned awake.
"""

from collections.abc import Callable, Iterator
import math

from torch import Tensor

from ...brain import Goal, Progress, SleepRun, State
from . import HAND_OVER
from .consolidator import SpikingConsolidator

_MEANS = ('model_loss', 'actor_loss', 'critic_loss', 'imagined_return', 'entropy')


class SpikingSleepRun(SleepRun):
    """Trains the consolidator's world model, actor and critic, and hands them to the online learner."""

    def __init__(self, consolidator: SpikingConsolidator, online: State, goal: Goal) -> None:
        super().__init__()
        self._consolidator, self._goal = consolidator, goal
        self._before = consolidator.learner_state()
        self._online = consolidator.online_copy
        self._online.load(online)
        self.statistics.means = dict.fromkeys(_MEANS, math.nan)
        # By it random numbers are drawn: the same in the same sleep, others in the next one.
        self._cycle = self._online.cycles

    def run(self) -> Iterator[Progress]:
        """See SleepRun."""
        c = self._consolidator
        self.verdict = c.judge_actor(self._cycle)
        if self._online.is_nap_due and not self._goal.steps:
            self.statistics.status[HAND_OVER], self.statistics.steps[HAND_OVER] = 'ok', 1
            yield Progress(HAND_OVER, 1, 1, math.nan)
            return
        own, memory = c.settings.sleep, c.memory
        starts = memory.starts(c.settings.world.window)
        if self._why_not('sws', starts) is None:
            before, after = memory.all()
            c.world.set_scale(after, after - before)
            c.rewire(self._cycle)
        yield from self._phase('sws', own.sws_steps, starts, self._learn_world)
        yield from self._phase('rem', own.rem_steps, starts, self._imagine)

    def _phase(
        self, name: str, steps: int, starts: Tensor, update: Callable[[Tensor, int], dict[str, float]]
    ) -> Iterator[Progress]:
        own, steps = self.statistics, self._goal.steps.get(name, 0) or steps
        why_not = self._why_not(name, starts)
        if why_not is not None:
            own.status[name] = f'skipped: {why_not}'
            return
        sums: dict[str, float] = {}
        for number in range(1, steps + 1):
            # A sleep draws fewer than 2**20 times, so that no two of a model draw the same.
            found = update(starts, (self._cycle << 20) + number)
            if any(math.isnan(value) for value in found.values()):
                own.refused += 1
            sums = {key: sums.get(key, 0.0) + value for key, value in found.items()}
            own.means |= {key: value / number for key, value in sums.items()}
            own.status[name], own.steps[name] = 'ok', number
            yield Progress(name, number, steps, next(iter(found.values())))

    def _why_not(self, phase: str, starts: Tensor) -> str | None:
        needed = self._consolidator.settings.world.batch_size
        if self._goal.steps.get(phase, 0) < 0:
            return 'by goal'
        return None if len(starts) >= needed else f'{len(starts)} windows in memory, needs {needed}'

    def _learn_world(self, starts: Tensor, number: int) -> dict[str, float]:
        c = self._consolidator
        return {'model_loss': c.update_world(c.draw(starts, c.settings.world.batch_size, 'sws', number))}

    def _imagine(self, starts: Tensor, number: int) -> dict[str, float]:
        c = self._consolidator
        return c.update_agent(c.draw(starts, c.settings.agent.starts, 'rem', number), 'rem.actions', number)

    def finish(self) -> State:
        """Hands over world model and actor, and begins the new cycle."""
        c = self._consolidator
        self._online.take(c.world, c.agent.actor)
        c.hand_over()
        self._online.begin_cycle()
        return self._online.state()

    def roll_back(self) -> None:
        """Restores weights and optimisers; the memory did not change."""
        self._consolidator.load_learner(self._before)
