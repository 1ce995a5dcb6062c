"""The sleeping half: Slow, replay memory and consolidation. What slow_learner carries."""

from collections.abc import Iterator
from dataclasses import replace
import math

import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from .. import memory
from ..checkpoints import blob
from ..config import LearningSettings
from ..consolidation import gate
from ..consolidation.contract import Sleeper
from ..consolidation.night import Goal, Progress, run, Statistics
from ..learners.learner import squared_error
from ..learners.normalizer import Normalizer
from ..learners.optimisation import load_optimizer, make_adam, optimizer_state
from ..learners.slow import SlowLearner
from ..memory.contract import Record
from ..memory.probes import affordable, Probes, SMALLEST
from ..memory.stillness import Stillness
from ..memory.virtual_walks import VirtualWalks
from ..randomness import stream
from ..space_change import SpaceChange
from ..types import Experience
from .mornings import actions_vary, Mornings
from .waking import WakingHalf
from .watch import Watch


class SleepingHalf:
    """Learns a little from every experience awake, and most of it asleep.

    Attributes:
        sequence: of the last experience learned.
        gaps: experiences that never arrived.
        watch: what a person should look at.
        probes: kept apart from memory, to judge nights by. mornings: how the learners did on them.
        stillness: which episodes' scenes stood still when they were last looked at.
    """

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, seed: int, device: str = 'cpu'
    ) -> None:
        self.settings = settings
        self.robot = robot
        self.z_size = z_size
        self.seed = seed
        # Follows the waking half's normaliser step by step; every night hands over the original.
        self.normalizer = Normalizer(settings.normalizer, z_size, device)
        self.slow = SlowLearner(settings, robot, z_size, self.normalizer, seed)
        self.normalizer.can_fold = self.slow.raw.can_fold
        self.probes = Probes(affordable(settings.sleep.probes, settings.memory.capacity), seed)
        capacity = settings.memory.capacity - self.probes.room
        # A piece shorter than a dream, and the steps before it that a state needs, would hold none.
        length = max(settings.memory.piece_length, self.slow.raw.context + settings.sleep.rem_k)
        self.memory = memory.make(replace(settings.memory, capacity=capacity, piece_length=length), seed)
        self.mornings = Mornings()
        self.stillness = Stillness()
        self.watch = Watch()
        # Tether trains Fast, but only ever here: a Fast of the same shape holds the place of its parameters.
        self._tether_fast = WakingHalf(settings, robot, z_size, seed, device)
        self._tether = make_adam(self._tether_fast.fast.raw, settings.sleep.tether_learning_rate)
        self.sequence = 0
        self.gaps = 0

    def learn(self, experience: Experience) -> dict[str, float]:
        """Takes one experience into memory and, where due, one wake step of Slow (rows 000-022 to 000-027).

        Returns:
            slow_error (before learning, raw units), image_delay (steps), slow_distill and slow_raw; empty for one
            already learned.
        """
        if experience.sequence <= self.sequence:
            return {}
        missing = experience.sequence - self.sequence - 1
        self.gaps += missing
        self.sequence = experience.sequence
        t = experience.transition
        z, action, z_next, prediction = (
            torch.from_numpy(part)[None].to(self.normalizer.device)
            for part in (t.z, t.action_applied, t.z_next, experience.prediction_after)
        )
        self.slow.carry(t, is_cut=missing > 0)
        before = self.slow.carried.before
        metrics = {'slow_error': float(squared_error(self.slow.predict(z, action, before), z_next))}
        self._follow_normalizer(experience)
        metrics |= self.watch.see(experience)
        record = Record.of(experience)
        if not self.probes.take(record):
            self.memory.add(record)
        if experience.sequence % self.settings.slow.wake_interval == 0:
            metrics |= self.slow.update_awake(z, action, z_next, prediction, before)
        return metrics

    def _follow_normalizer(self, experience: Experience) -> None:
        if experience.transition.boundary:
            self.normalizer.observe(torch.from_numpy(experience.transition.z))
        self.normalizer.observe(torch.from_numpy(experience.transition.z_next))
        if experience.normalizer_version > self.normalizer.version:
            self._fold(self.normalizer.apply())
            self.normalizer.version = experience.normalizer_version

    def take_normalizer(self, waking: WakingHalf) -> None:
        """Takes the original from the waking half; what Slow knows stays."""
        self._fold(self.normalizer.adopt(waking.normalizer.state()))

    def _fold(self, change: SpaceChange | None) -> None:
        if change is not None:
            self.slow.fold(change)
            self._tether_fast.fast.fold_optimizer(self._tether, change)

    @property
    def alarms(self) -> list[str]:
        """What a person should look at, in words."""
        return self.watch.alarms(self.mornings, self.stillness)

    def parameter_counts(self) -> tuple[int, int]:
        """Returns the numbers in Fast's and in Slow's weights."""
        return self._tether_fast.fast.parameter_count(), self.slow.parameter_count()

    def begin_night(self, waking_half: bytes, goal: Goal) -> 'Night':
        """Prepares a night with the waking half as Fast handed it over; nothing has changed yet."""
        return Night(self, waking_half, goal)

    def state(self) -> dict[str, Tensor]:
        """Returns everything but the memory, by name."""
        counters = {
            'counters.sequence': torch.tensor(self.sequence),
            'counters.gaps': torch.tensor(self.gaps),
        }
        return (
            counters
            | self.watch.state()
            | self.normalizer.state()
            | self.slow.state()
            | optimizer_state('tether.optimizer', self._tether)
        )

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes everything but the memory back; raises UserError where it belongs to another recipe."""
        try:
            self.sequence = int(state['counters.sequence'])
            self.gaps = int(state['counters.gaps'])
            self.watch.load(state)
            self.normalizer.load(state)
            self.slow.load(state)
            load_optimizer('tether.optimizer', self._tether, state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                'sleeping half',
                expected="weights of this model's config.json",
                found=str(error).splitlines()[0],
            ) from error

    def to_bytes(self) -> bytes:
        """Returns everything but the memory as safetensors."""
        return blob.pack(self.state())

    def memory_to_bytes(self) -> bytes:
        """Returns the replay memory, the probes and what is known by them as safetensors."""
        return blob.pack(self.memory.state() | self.probes.state() | self.mornings.state() | self.stillness.state())

    def load_bytes(self, data: bytes, memory_data: bytes) -> None:
        """Takes everything back; raises UserError where it can't."""
        self.load(blob.unpack(data, 'sleeping half'))
        try:
            state = blob.unpack(memory_data, 'replay memory')
            self.memory.load(state)
            self.probes.load(state)
            self.mornings = Mornings.load(state)
            self.stillness = Stillness.load(state)
        except KeyError as error:
            raise UserError(
                'replay memory', expected=f'one of kind {self.settings.memory.kind!r}', found=str(error)
            ) from error


class Night:
    """One sleep: run it step by step, finish it, then keep it or take it back.

    Attributes:
        statistics: of row 000-050, filled in as it goes on.
        verdict: of the gate; whole after `finish`. Who reads `rolled_back` there takes the night back.
    """

    def __init__(self, half: SleepingHalf, waking_half: bytes, goal: Goal) -> None:
        self._half = half
        self._goal = goal
        self._before = half.state()
        self._mornings, self._stillness = half.mornings, half.stillness
        self.statistics = Statistics()
        self.verdict = gate.Verdict(wanted=half.probes.count)
        # The place holder becomes the copy of Fast that this night may train.
        self._waking = half._tether_fast
        self._waking.load_bytes(waking_half)
        half.take_normalizer(self._waking)
        self._cycle = self._waking.cycles
        self._evening = self._score()

    def run(self) -> Iterator[Progress]:
        """Yields after each optimiser step; stop iterating and `roll_back` to cancel."""
        half = self._half
        sleeper = Sleeper(
            self._waking.fast, half.slow, half.memory, self._virtual_walks(), half._tether, half.settings.sleep
        )
        yield from run(sleeper, self._goal, half.seed, self._cycle, self.statistics)

    def _virtual_walks(self) -> VirtualWalks:
        """Walks over all that both halves remember, but for the probes; keeps what they tell of each scene.

        None for a model with a state: a walk's steps act at once, whatever the body does.
        """
        half = self._half
        if not half.settings.sleep.virtual_share or half.slow.raw.context:
            return VirtualWalks([], half.robot, half.z_size)
        apart = half.probes.sequences()
        records = {r.sequence: r for r in (*half.memory.records(), *self._waking.memory.records())}
        walks = VirtualWalks(
            [r for sequence, r in sorted(records.items()) if sequence not in apart], half.robot, half.z_size,
            half.stillness,
        )  # fmt: skip
        half.stillness = walks.stillness
        return walks

    @property
    def diverged(self) -> bool:
        """Whether an optimiser step had to be refused, or a mean is not finite though its phase ran."""
        ran = sum(self.statistics.steps.values()) > 0
        return ran and (self.statistics.refused > 0 or any(map(math.isinf, self.statistics.means.values())))

    def roll_back(self) -> None:
        """Restores weights, averages, optimisers, normaliser and counters of before; counts what the gate refused."""
        half = self._half
        half.load(self._before)
        half.mornings, half.stillness = self._mornings, self._stillness
        if self.verdict.rolled_back and self._evening is not None:
            half.mornings = half.mornings.after_harm(*self._evening, half.sequence)

    def finish(self) -> bytes:
        """Begins the new day and judges the night; returns the waking half that Fast wakes up with."""
        half = self._half
        self._waking.wake_up()
        half.take_normalizer(self._waking)
        self._judge()
        return self._waking.to_bytes()

    def _judge(self) -> None:
        """With the snapshot of the new day: that is how the learners will act."""
        half, evening, morning = self._half, self._evening, self._score()
        if evening is None or morning is None:
            return
        robot, count = half.robot, len(half.probes)
        self.verdict = gate.judge(
            (evening[0], morning[0]), (evening[1], morning[1]), self.verdict.wanted, not half.settings.sleep.gate,
            stream(half.seed, 'gate', self._cycle),
        )  # fmt: skip
        half.mornings = half.mornings.after_night(
            *morning, half.probes.names(), actions_vary(half.probes.batch(), robot.low, robot.high), count >= SMALLEST,
            stream(half.seed, 'gate.actions', self._cycle),
        )  # fmt: skip

    def _score(self) -> tuple[gate.Scores, gate.Scores] | None:
        """Returns Slow's and Fast's scores as they act now, None without probes."""
        if not len(self._half.probes):
            return None
        batch = self._half.probes.batch()
        return gate.score(self._half.slow, batch), gate.score(self._waking.fast, batch)
