"""One sleep of the brain `cls`: phases over the memories of both learners, judged by held-out transitions."""

from collections.abc import Iterator
import math

from ...brain import Goal, Progress, SleepRun, State, Verdict
from ...consolidation.contract import frozen, SleepContext
from ...consolidation.phases import run, STATISTICS
from ...evaluation import gate
from ...evaluation.history import actions_vary
from ...evaluation.holdout import SMALLEST
from ...memory.trajectory_stitching import StitchedTrajectories
from ...randomness import stream
from .consolidator import ClsConsolidator


class ClsSleepRun(SleepRun):
    """Trains Slow and a copy of Fast, which replaces Fast if the sleep is kept; weights change in `run` only."""

    def __init__(self, consolidator: ClsConsolidator, online: State, goal: Goal) -> None:
        super().__init__()
        self._consolidator = consolidator
        self._goal = goal
        self._before = consolidator.learner_state()
        self._history, self._static_scenes = consolidator.history, consolidator.static_scenes
        self.statistics.means = dict.fromkeys(STATISTICS, math.nan)
        wanted = consolidator.holdout.count
        self._judgement = gate.Judgement(wanted=wanted)
        self.verdict = Verdict(text=self._judgement.text())
        # Load the online learner into the local copy, which this sleep trains.
        self._online = consolidator.online_copy
        self._online.load(online)
        consolidator.take_normalizer(self._online)
        self._cycle = self._online.cycles
        self._scores_before = self._score()

    def run(self) -> Iterator[Progress]:
        """See SleepRun."""
        c = self._consolidator
        sleep = SleepContext(
            fast=self._online.fast,
            slow=c.slow,
            memory=c.memory,
            stitched=self._stitch(),
            tether_optimizer=c.tether,
            settings=c.settings.sleep,
            before=frozen(c.slow) if c.settings.sleep.own_weight else None,
            has_changed=c.watch.has_changed,
        )
        yield from run(sleep, self._goal, c.seed, self._cycle, self.statistics)

    def _stitch(self) -> StitchedTrajectories:
        """Returns stitched trajectories over both memories without held-out transitions; updates the scene test.

        Empty for a model with a state: stitched steps have no lag, which the robot may have.
        """
        c = self._consolidator
        if not c.settings.sleep.virtual_share or c.slow.online.context:
            return StitchedTrajectories([], c.robot, c.z_size)
        apart = c.holdout.sequences()
        records = {r.sequence: r for r in (*c.memory.records(), *self._online.memory.records())}
        stitched = StitchedTrajectories(
            [r for sequence, r in sorted(records.items()) if sequence not in apart], c.robot, c.z_size, c.static_scenes
        )
        c.static_scenes = stitched.static_scenes
        return stitched

    def roll_back(self) -> None:
        """Restores weights, averages, optimisers, normaliser and counters; counts a sleep that the gate refused."""
        c = self._consolidator
        c.load_learner(self._before)
        c.history, c.static_scenes = self._history, self._static_scenes
        if self.verdict.rolled_back and self._scores_before is not None:
            c.history = c.history.after_harm(*self._scores_before, c.sequence)

    def finish(self) -> State:
        """Begins the new cycle, then judges with its snapshot of the normaliser, with which the learners will act."""
        self._online.begin_cycle()
        self._consolidator.take_normalizer(self._online)
        self._consolidator.watch.end_sleep(anchored=self.statistics.status.get('anchor') == 'ok')
        self._judge()
        return self._online.state()

    def _judge(self) -> None:
        c, before, after = self._consolidator, self._scores_before, self._score()
        if before is None or after is None:
            return
        self._judgement = gate.judge(
            (before[0], after[0]),
            (before[1], after[1]),
            self._judgement.wanted,
            not c.settings.sleep.gate,
            stream(c.seed, 'gate', self._cycle),
        )
        self.verdict = self._judgement.verdict()
        varies = actions_vary(c.holdout.batch(), c.robot.low, c.robot.high)
        c.history = c.history.after_sleep(
            *after, c.holdout.names(), varies, len(c.holdout) >= SMALLEST, stream(c.seed, 'gate.actions', self._cycle)
        )

    def _score(self) -> tuple[gate.Scores, gate.Scores] | None:
        """Returns the present scores of Slow and Fast, None without held-out transitions."""
        if not len(self._consolidator.holdout):
            return None
        batch = self._consolidator.holdout.batch()
        return gate.score(self._consolidator.slow, batch), gate.score(self._online.fast, batch)
